"""Command lines: built from our own words only, always guarded, and only in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from onevoice_kit.media_exec import Command, Input, MediaFacts, MediaFile, MediaLimits, Output, VideoFacts
from services.mixer.muxplan import MP4, Parts, Titled, command

ROOT = Path(__file__).parents[3]
FILE = MediaFile("in0", Path("in0"))
EVIL = "x' ; $(reboot) \n-f concat"


@pytest.mark.parametrize("text", [EVIL, "a b", "/etc/passwd\n", "{x}", "\\", "'", '"', "`", "$x", "é", "\x00"])
def test_a_word_with_other_signs_never_becomes_an_argument(text):
    with pytest.raises(ValueError, match="not a fixed argument"):
        Command((Input(FILE),), (Output("pipe", ("-metadata", text)),)).argv(MediaLimits())


def test_every_outside_input_is_opened_under_all_guards():
    argv = Command((Input(FILE, ("-ss", "1")), Input(FILE)), ()).argv(MediaLimits(max_pixels=7, max_streams=3))
    joined = " ".join(argv)
    assert joined.count("-protocol_whitelist file,pipe ") == 2
    formats = [set(argv[at + 1].split(",")) for at, one in enumerate(argv) if one == "-format_whitelist"]
    assert len(formats) == 2
    assert all({"mov", "matroska", "wav"} <= one for one in formats)
    assert joined.count("-codec_whitelist h264,") == 2
    assert joined.count("-max_pixels 7 ") == joined.count("-max_streams 3 ") == 2
    assert joined.count("-i file:in0") == 2
    for playlist in ("hls", "concat", "dash", "image2", "lavfi", "sdp"):
        assert playlist not in joined


def test_titles_and_odd_languages_reach_no_command_line():
    facts = MediaFacts("mov", 9.0, VideoFacts(0, "h264", 2, 2, 25.0, 0.0, 9.0), ())
    parts = Parts(FILE, facts, (Titled(FILE, EVIL, EVIL),), None, (Titled(FILE, EVIL, EVIL),), None, 9000)
    argv = command(parts, MediaFile("out1.ffmeta", Path("x")), MediaFile("out2.mp4", Path("y")), MP4).argv(
        MediaLimits()
    )
    assert not [word for word in argv if "reboot" in word or " " in word]
    assert "language=und" in argv


def test_a_title_cannot_leave_its_line_in_the_metadata_file():
    facts = MediaFacts("mov", 9.0, None, ())
    parts = Parts(FILE, facts, (Titled(FILE, "es", "a\n[CHAPTER]\nb=c;#\\"),), None, (), None, 9000)
    lines = parts.metadata().splitlines()
    assert lines[:3] == [";FFMETADATA1", "[STREAM]", "title=a [CHAPTER] b\\=c\\;\\#\\\\"]
    assert len(lines) == 4


def test_only_media_exec_starts_media_tools():
    starters = set()
    for folder in ("services", "libs", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            if "media_exec" not in path.parts and _names_a_tool_to_start(path):
                starters.add(str(path.relative_to(ROOT)))
    assert starters == set()


def _names_a_tool_to_start(path: Path) -> bool:
    """True if a list or call of the file begins with the name of a media tool."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        first: list[ast.expr] = []
        if isinstance(node, ast.List | ast.Tuple):
            first = node.elts[:1]
        if isinstance(node, ast.Call) and "exec" in ast.dump(node.func):
            first = node.args[:1]
        for word in first:
            if isinstance(word, ast.Constant) and word.value in ("ffmpeg", "ffprobe"):
                return True
    return False
