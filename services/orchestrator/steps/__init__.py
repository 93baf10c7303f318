"""What each step of the pipeline does."""
