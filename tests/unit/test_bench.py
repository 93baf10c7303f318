"""The command line of the benchmark."""

from __future__ import annotations

import pytest

from bench.__main__ import PARTS, main


def test_help_names_the_parts_and_measures_nothing(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert ", ".join(PARTS) in capsys.readouterr().out


def test_an_unknown_part_is_refused_before_anything_is_measured(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["jobs", "nothing"])
    assert ended.value.code == 2
    assert "no such part: nothing" in capsys.readouterr().err
