"""The sources of the client's address and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from onevoice_cli.client.settings import load
from onevoice_cli.files import to_toml, write_private
from onevoice_kit.errors import InvalidInput, PreconditionFailed

ENV = {"ONEVOICE_URL": "http://env:1", "ONEVOICE_API_KEY": "ov_env"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_private(tmp_path / "client.toml", to_toml({"url": "http://file:1", "api_key": "ov_file"}))
    return tmp_path


def test_an_option_wins_over_the_environment_and_the_environment_over_the_file(data):
    assert load(url="http://option:1", api_key="ov_option", data=data, env=ENV).url == "http://option:1"
    from_env = load(data=data, env=ENV)
    assert (from_env.url, from_env.api_key) == ("http://env:1", "ov_env")
    from_file = load(data=data, env={})
    assert (from_file.url, from_file.api_key) == ("http://file:1", "ov_file")


def test_the_key_of_the_file_is_never_sent_to_another_server(data):
    with pytest.raises(PreconditionFailed, match="no API key for http://other:1"):
        load(url="http://other:1", data=data, env={})


def test_the_key_of_the_file_goes_with_its_own_address_however_that_was_given(data):
    assert load(url="http://file:1/", data=data, env={}).api_key == "ov_file"


def test_a_slash_or_api_at_the_end_of_the_address_does_not_matter(data):
    assert load(url="https://host/base/api/", api_key="k", data=data, env={}).url == "https://host/base"


def test_the_folder_can_come_from_the_environment(data):
    assert load(env={"ONEVOICE_DATA": str(data)}).api_key == "ov_file"


def test_without_any_configuration_the_sentence_names_the_remedy(tmp_path):
    with pytest.raises(PreconditionFailed, match="`onevoice up`") as caught:
        load(data=tmp_path, env={})
    assert caught.value.reason == "not_configured"


def test_an_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="not an http or https address"):
        load(url="ftp://host", api_key="k", data=tmp_path, env={})


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "client.toml").write_text("url = ")
    with pytest.raises(PreconditionFailed, match=r"client\.toml is not valid TOML"):
        load(data=tmp_path, env={})
