"""What every served call passes through, one concern a file; `server.py` puts them in order."""
