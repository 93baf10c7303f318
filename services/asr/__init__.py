"""Speech recognition: regions of speech, their words, their speakers."""
