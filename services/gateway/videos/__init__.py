"""Videos that can be dubbed."""
