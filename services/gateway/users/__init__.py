"""Users and what they may see about themselves."""
