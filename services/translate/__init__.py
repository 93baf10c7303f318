"""Translation: segments of speech in, the same segments in another language out."""
