"""Speech synthesis: a line of text in, its audio and natural length out."""
