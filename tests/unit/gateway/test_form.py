"""A form with a file, read in constant memory."""

from __future__ import annotations

import hashlib

import pytest

from onevoice_kit.errors import InvalidInput
from services.gateway.jobs.form import receive_form

TYPE = 'multipart/form-data; boundary="edge"'
LONG = f"multipart/form-data; boundary={'e' * 300}"
CONTENT = bytes(range(256)) * 20_000


def part(name, content, filename=None, content_type=None):
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    header = f"Content-Disposition: {disposition}\r\n" + (f"Content-Type: {content_type}\r\n" if content_type else "")
    return b"--edge\r\n" + header.encode() + b"\r\n" + content + b"\r\n"


FILE = part("file", CONTENT, "talk.mp4", "video/mp4; charset=binary")
BODY = part("target_language", b"es") + FILE + part("source_language", b"en") + b"--edge--\r\n"


async def pieces(body, size):
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def refused(body, content_type=TYPE, max_bytes=1 << 30):
    with pytest.raises(InvalidInput) as caught:
        async with receive_form(content_type, pieces(body, 1000), file_field="file", max_bytes=max_bytes):
            pass
    return caught.value.reason


@pytest.mark.parametrize("size", [997, 65_536, 10_000_000])
async def test_fields_and_file_come_through_in_any_pieces(size):
    async with receive_form(TYPE, pieces(BODY, size), file_field="file", max_bytes=len(CONTENT)) as form:
        assert form.fields == {"target_language": "es", "source_language": "en"}
        assert (form.file.filename, form.file.content_type) == ("talk.mp4", "video/mp4")
        assert (form.file.size, form.file.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        assert form.file.path.read_bytes() == CONTENT
        path = form.file.path
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        ('filename="naïve.mp4"'.encode(), "naïve.mp4"),
        ('filename="日本語 Вступ.mp4"'.encode(), "日本語 Вступ.mp4"),
        ('filename="naïve.mp4"'.encode("latin-1"), "naïve.mp4"),
        (b"filename=\"nave.mp4\"; filename*=UTF-8''na%C3%AFve%20%E6%97%A5.mp4", "naïve 日.mp4"),
        (b"filename*=iso-8859-1'en'na%EFve.mp4", "naïve.mp4"),
        (rb'filename="a\"b;c.mp4"', 'a"b;c.mp4'),
    ],
    ids=["UTF-8", "beyond Latin-1", "Latin-1", "extended", "extended alone", "quoted"],
)
async def test_a_file_name_in_any_script_comes_through(parameters, filename):
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; ' + parameters + b"\r\n\r\n"
    body = head + b"content\r\n--edge--\r\n"
    async with receive_form(TYPE, pieces(body, 7), file_field="file", max_bytes=100) as form:
        assert form.file.filename == filename


async def test_a_file_above_the_limit_is_refused_while_it_arrives():
    assert await refused(BODY, max_bytes=len(CONTENT) - 1) == "file_too_large"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (part("target_language", b"es") + b"--edge--\r\n", "missing_file"),
        (BODY[:-20], "malformed_body"),
        (b"", "malformed_body"),
        (b"no form at all", "malformed_body"),
        (FILE + FILE + b"--edge--\r\n", "malformed_body"),
        (part("note", b"x" * 100_000) + FILE + b"--edge--\r\n", "malformed_body"),
        (b"".join(part(f"f{number}", b"") for number in range(30)) + FILE + b"--edge--\r\n", "malformed_body"),
        (part("same", b"") * 30 + FILE + b"--edge--\r\n", "malformed_body"),
    ],
    ids=["no file", "cut off", "empty", "no form", "two files", "long field", "many fields", "one field many times"],
)
async def test_a_form_that_is_none_is_refused(body, reason):
    assert await refused(body) == reason


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; x=y",
        f"multipart/form-data; boundary={'e' * 300}",
    ],
)
async def test_another_kind_of_body_is_refused(content_type):
    assert await refused(BODY, content_type) == "unsupported_media_type"
