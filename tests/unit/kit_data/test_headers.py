"""The name under which a browser saves a download."""

from __future__ import annotations

import pytest

from onevoice_kit.storage.base import content_disposition


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("film.es.mp4", "attachment; filename=\"film.es.mp4\"; filename*=UTF-8''film.es.mp4"),
        ("señor ñ.mp4", "attachment; filename=\"senor n.mp4\"; filename*=UTF-8''se%C3%B1or%20%C3%B1.mp4"),
        ("映画", "attachment; filename=\"download\"; filename*=UTF-8''%E6%98%A0%E7%94%BB"),
        ('a"b\\c/d\r\nX: y', "attachment; filename=\"a_b_c_d__X: y\"; filename*=UTF-8''a_b_c_d__X%3A%20y"),
    ],
)
def test_a_name_cannot_break_out_of_its_header(filename: str, header: str):
    assert content_disposition(filename) == header
