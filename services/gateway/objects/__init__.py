"""Signed URLs of the file storage."""
