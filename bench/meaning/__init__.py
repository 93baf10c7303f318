"""The check of meanings, measured on lines with right and with wrong translations."""
