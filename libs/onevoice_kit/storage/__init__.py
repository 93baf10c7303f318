"""The storage port and its adapters: `file` (a folder) and `s3`."""
