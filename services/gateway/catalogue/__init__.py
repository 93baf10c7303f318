"""Languages, voices and engines of this deployment."""
