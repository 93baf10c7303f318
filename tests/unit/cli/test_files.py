"""Private files and safe names."""

from __future__ import annotations

import pytest

from onevoice_cli.files import read_toml, safe_name, to_toml, write_private


def test_a_private_file_can_be_read_by_its_owner_only_and_is_replaced_whole(tmp_path):
    path = tmp_path / "client.toml"
    write_private(path, "old")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_toml_survives_quotes_backslashes_and_control_characters(tmp_path):
    values = {"api_key": 'a"b\\c\n\x00é'}
    write_private(tmp_path / "x.toml", to_toml(values))
    assert read_toml(tmp_path / "x.toml") == values


def test_a_missing_file_is_empty(tmp_path):
    assert read_toml(tmp_path / "none.toml") == {}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("talk", "talk"),
        ("mi charla (final)", "mi charla (final)"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".hidden", "hidden"),
        ("a\x00b\nc", "a_b_c"),
        ("日本語", "日本語"),
        ("...", "video"),
        ("x" * 300, "x" * 120),
    ],
)
def test_a_name_becomes_safe_in_any_folder(name, safe):
    assert safe_name(name) == safe
