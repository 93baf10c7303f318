"""What every OneVoice process is built from; it knows no business words."""
