"""Reading the pairs that are installed."""

from __future__ import annotations

import pytest

from services.translate.engines.apertium_modes import installed, language_pair, parse_stages
from services.translate.engines.base import LanguagePair


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("eng-spa", LanguagePair("en", "es")),
        ("spa-eng_US", LanguagePair("es", "en-US")),
        ("eng-cat_valencia", LanguagePair("en", "ca-valencia")),
        ("eng-cat_valencia_iec2017", None),
        ("eng-cat_iec2017", None),
        ("eng-spa-tagger", None),
        ("README", None),
    ],
)
def test_modes_have_language_tags(name, pair):
    assert language_pair(name) == pair


def test_a_mode_is_read_as_argument_lists_that_answer_at_nul():
    text = "lt-proc -w '/data/a b.bin' | apertium-tagger -g $2 '/x.prob' |lt-proc $1 '/y.bin'\n"
    assert parse_stages(text) == (
        ("lt-proc", "-z", "-w", "/data/a b.bin"),
        ("apertium-tagger", "-z", "-g", "/x.prob"),
        ("lt-proc", "-z", "-g", "/y.bin"),
    )


def test_only_modes_whose_programs_can_be_kept_alive_are_offered(tmp_path):
    (tmp_path / "eng-spa.mode").write_text("lt-proc '/usr/share/apertium/apertium-eng-spa/x.bin'")
    (tmp_path / "eng-fra.mode").write_text("lt-proc '/x.bin' | sh -c 'evil'")
    (tmp_path / "eng-deu.mode").write_text("rtx-proc-that-is-not-there '/x.bin'")
    modes = installed(tmp_path)
    assert list(modes) == [LanguagePair("en", "es")]
    assert modes[LanguagePair("en", "es")].package == "apertium-eng-spa"


def test_a_folder_that_is_not_there_has_no_modes(tmp_path):
    assert installed(tmp_path / "none") == {}
