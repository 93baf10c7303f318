"""Small rules: spelling of languages, cursors, keys, parts, suffixes, first bytes."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec.formats import DEMUXERS, FORMATS
from services.gateway.accounts import hash_key, looks_like_key, new_key, shown_prefix
from services.gateway.jobs.schemas import Term
from services.gateway.schemas import ContentType, Filename, Language, decode_cursor, encode_cursor
from services.gateway.uploads.repository import UploadKind
from services.gateway.uploads.schemas import PartIn
from services.gateway.uploads.service import safe_suffix
from services.gateway.uploads.transfers import fits, part_sizes, sniff
from services.gateway.videos.schemas import Title


@pytest.mark.parametrize(
    ("tag", "usual"),
    [("EN", "en"), ("pt-br", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"), ("es-419", "es-419"), ("sl-ROZAJ", "sl-rozaj")],
)
def test_languages_are_spelled_the_usual_way(tag, usual):
    assert TypeAdapter(Language).validate_python(tag) == usual


@pytest.mark.parametrize("tag", ["e", "en_US", "en-", "-en", "en us", "en\n", "123"])
def test_what_is_not_a_language_tag_is_refused(tag):
    with pytest.raises(ValidationError):
        TypeAdapter(Language).validate_python(tag)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", ".", " ", "", "a\x00", "a\nb", "x" * 256])
def test_a_file_name_with_a_path_or_control_characters_is_refused(name):
    with pytest.raises(ValidationError):
        TypeAdapter(Filename).validate_python(name)


UNSAFE = ["\x00", "\x1b", "\x7f", "\x85", "\x9b", "\n", "\u2028", "\u202e", "\u2066", "\ud800"]


@pytest.mark.parametrize("character", UNSAFE, ids=[f"U+{ord(character):04X}" for character in UNSAFE])
@pytest.mark.parametrize("field", [Filename, Title, Term])
def test_control_characters_and_direction_overrides_are_refused_in_every_text(field, character):
    with pytest.raises(ValidationError):
        TypeAdapter(field).validate_python(f"a{character}b")


def test_a_title_may_be_in_a_script_that_runs_from_right_to_left():
    assert TypeAdapter(Title).validate_python("مقدمة\u200f – פתיחה") == "مقدمة\u200f – פתיחה"


@pytest.mark.parametrize("etag", ["", '"', "a/b", "a\x00b", '"a b"', "../x"])
def test_what_is_not_an_etag_is_refused(etag):
    with pytest.raises(ValidationError):
        PartIn(number=1, etag=etag)


def test_a_file_name_may_be_in_any_script():
    assert TypeAdapter(Filename).validate_python(" Вступ (новий) 日本.mp4 ") == "Вступ (новий) 日本.mp4"


@pytest.mark.parametrize("content_type", ["video", "video/", "Video/MP4", "video/mp4; x=y", "video/mp4\r\nX: y"])
def test_a_media_type_is_plain(content_type):
    with pytest.raises(ValidationError):
        TypeAdapter(ContentType).validate_python(content_type)


def test_a_cursor_stands_for_an_id():
    id_ = UUID("0199f2c5-6a1e-7c3b-9d4e-2f1a0b3c4d5e")
    assert decode_cursor(encode_cursor(id_)) == id_


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "AAAA", "A" * 100, "ÄÄ"])
def test_anything_else_is_not_a_cursor(cursor):
    with pytest.raises(InvalidInput) as caught:
        decode_cursor(cursor)
    assert caught.value.reason == "invalid_cursor"


def test_keys_are_random_recognisable_and_hashed():
    one, other = new_key(), new_key()
    assert one != other
    assert looks_like_key(one)
    assert len(hash_key(one)) == 64
    assert one.startswith(shown_prefix(one))
    assert len(shown_prefix(one)) == 11


@pytest.mark.parametrize(("size", "sizes"), [(10, [10]), (20, [10, 10]), (21, [10, 10, 1]), (1, [1])])
def test_parts_make_up_the_file(size, sizes):
    assert part_sizes(size, 10) == sizes


@pytest.mark.parametrize(
    ("filename", "suffix"),
    [
        ("a.mp4", ".mp4"),
        ("a.MP4", ".mp4"),
        ("a", ""),
        ("a.", ""),
        ("a.p/x", ""),
        ("a.m p", ""),
        ("a.ünï", ""),
        ("a.aaaaaaaaaaaa", ""),
    ],
)
def test_only_a_plain_suffix_becomes_part_of_a_key(filename, suffix):
    assert safe_suffix(filename) == suffix


SOUND = {
    "wav": b"RF64\xff\xff\xff\xffWAVEds64",
    "w64": b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000"),
    "aiff": b"FORM\x00\x00\x00\x00AIFC",
    "caf": b"caff\x00\x01\x00\x00",
    "au": b".snd\x00\x00\x00\x18",
    "flac": b"fLaC",
    "mp3": b"\xff\xfb\x90\x00",
    "ogg": b"OggS\x00\x02",
    "aac": b"\xff\xf1\x50\x80",
    "ac3": bytes.fromhex("0b77a3bf2040"),
    "eac3": bytes.fromhex("0b7702ff3f86"),
    "amr": b"#!AMR-WB\n\x04",
    "wv": b"wvpk\x10\x00",
}
FILMS = {
    "mov": b"\x00\x00\x00\x18ftypisom",
    "matroska": b"\x1aE\xdf\xa3\xa3B\x82\x88matroska",
    "webm": b"\x1aE\xdf\xa3\x9fB\x82\x84webm",
    "avi": b"RIFF\x00\x00\x00\x00AVI LIST",
    "mpegts": bytes(4) + (b"G" + bytes(191)) * 3,
    "mpeg": b"\x00\x00\x01\xbaD",
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
}


def test_an_upload_may_have_every_format_that_the_source_of_a_job_may_have():
    heads = SOUND | FILMS
    assert set(heads) == set(DEMUXERS)
    for name, head in heads.items():
        assert sniff(head) == FORMATS[name].media_type
        for kind in (UploadKind.VOICE, UploadKind.BACKGROUND, UploadKind.VOICE_SAMPLE):
            assert fits(kind, sniff(head)), name
        assert fits(UploadKind.VIDEO, sniff(head)) == (name in FILMS or name == "ogg")


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "video/mp4"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00????", "application/octet-stream"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"FLV\x01\x05\x00\x00\x00\t", "application/octet-stream"),
        ("1\n00:00 größer".encode("utf-16"), "application/octet-stream"),
        (b"ID3\x04", "audio/mpeg"),
        ((b"\x47" + bytes(187)) * 3, "video/mp2t"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("1\n00:00 größer".encode(), "text/plain"),
        ("größer".encode()[:3], "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"\xc3\x28\xff\xfe!!!!", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_a_file_is_known_by_its_first_bytes(head, content_type):
    assert sniff(head) == content_type


def test_every_kind_of_upload_takes_something():
    for kind in UploadKind:
        assert any(fits(kind, found) for found in ("video/mp4", "audio/wav", "text/plain", "image/png"))
        assert not fits(kind, "application/octet-stream")
