"""`python -m onevoice_cli` is `onevoice`."""

from __future__ import annotations

from onevoice_cli.main import main

main()
