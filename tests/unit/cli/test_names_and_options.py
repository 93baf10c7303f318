"""File names of results, and the options of `dub`."""

from __future__ import annotations

from pathlib import Path

import pytest

from onevoice_cli.client.download import Artifact
from onevoice_cli.client.dub import DubRequest, parse_languages, parse_voices
from onevoice_cli.client.upload import check_file
from onevoice_kit.errors import InvalidInput, OneVoiceError


def artifact(kind: str, language: str = "", filename: str = "whatever.bin") -> Artifact:
    return Artifact(kind, language, filename, 1, "0" * 64, "http://x")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (artifact("video", "es", "x.mp4"), "talk.es.mp4"),
        (artifact("video", "es", "x.mkv"), "talk.es.mkv"),
        (artifact("video", "es", "x.sh"), "talk.es.mp4"),
        (artifact("captions_srt", "es"), "talk.es.srt"),
        (artifact("captions_vtt", "en"), "talk.en.vtt"),
        (artifact("thumbnail"), "thumbnail.jpg"),
        (artifact("report"), "report.json"),
        (artifact("manifest"), "manifest.json"),
        (artifact("audio", "es", "x.flac"), "talk.es.audio.flac"),
        (artifact("captions_srt", "../../etc"), "talk._.._etc.srt"),
    ],
)
def test_local_names_hold_nothing_of_the_server_but_a_known_ending(given, name):
    assert given.local_name("talk") == name


def test_languages_come_in_order_and_once():
    assert parse_languages(" es,ca, es,") == ["es", "ca"]
    with pytest.raises(InvalidInput, match="--to"):
        parse_languages(" , ")


def test_a_plain_voice_is_for_every_language_that_has_none_of_its_own():
    voices = parse_voices(["ca=espeak:ca+f2", "espeak:es+m3"], ["es", "ca"])
    assert voices == {"es": "espeak:es+m3", "ca": "espeak:ca+f2"}
    with pytest.raises(InvalidInput, match="not a voice"):
        parse_voices(["es="], ["es"])


def test_only_given_options_are_sent():
    assert DubRequest(Path("a.mp4"), ["es"], Path()).body() == {"target_languages": ["es"]}
    full = DubRequest(
        Path("a.mp4"),
        ["es"],
        Path(),
        "en",
        {"es": "v"},
        "-16",
        burn_in=True,
        speakers=2,
        force=True,
        engines={"asr": "deepgram", "separation": "none", "tts": ""},
        terminology="off",
    ).body()
    assert full == {
        "target_languages": ["es"],
        "source_language": "en",
        "voices": {"es": "v"},
        "loudness": "-16",
        "burn_in_captions": True,
        "speakers": 2,
        "force": True,
        "engines": {"asr": "deepgram", "separation": "none"},
        "terminology": "off",
    }


@pytest.mark.parametrize(
    ("kind", "reason"), [("missing", "file_missing"), ("folder", "not_a_file"), ("empty", "empty_file")]
)
def test_a_file_that_cannot_be_sent_is_named_before_anything_starts(tmp_path, kind, reason):
    path = tmp_path / "talk.mp4"
    if kind == "folder":
        path.mkdir()
    if kind == "empty":
        path.touch()
    with pytest.raises(OneVoiceError, match=r"talk\.mp4") as caught:
        check_file(path)
    assert caught.value.reason == reason
