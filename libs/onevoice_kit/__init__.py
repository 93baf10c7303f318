"""The building blocks of every OneVoice process, without business words."""
