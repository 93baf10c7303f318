"""Speech recognition: where speech is, what is said, who says it."""
