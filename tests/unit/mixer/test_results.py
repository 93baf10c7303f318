"""Results are found again by what they were made of."""

from __future__ import annotations

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef
from services.mixer.results import Results, Work, content


async def test_what_was_kept_is_found_by_the_same_parameters(file_storage, tmp_path):
    results = Results(file_storage)
    work = Work.of("users/a/jobs/b", "mix", {"clips": [["ab", 1, 1.0]], "gain": -3.0})
    assert await results.find(work) is None
    made = tmp_path / "made"
    made.write_bytes(b"sound")
    audio = await results.put(work.key("m4a"), made, "audio/mp4")
    await results.keep(work, {"audio": audio, "loudness_lufs": -23.5})
    again = Work.of("users/a/jobs/b", "mix", {"gain": -3.0, "clips": [["ab", 1, 1.0]]})
    found = await results.find(again)
    assert found is not None
    assert found["loudness_lufs"] == -23.5
    assert found["audio"]["sha256"] == audio.sha256


async def test_an_answer_whose_output_is_gone_is_not_found(file_storage, tmp_path):
    results, work = Results(file_storage), Work.of("users/a", "mix", {})
    (tmp_path / "made").write_bytes(b"sound")
    audio = await results.put(work.key("m4a"), tmp_path / "made", "audio/mp4")
    await results.keep(work, {"audio": audio})
    await file_storage.delete(work.key("m4a"))
    assert await results.find(work) is None


async def test_an_answer_whose_output_was_replaced_is_not_found(file_storage, tmp_path):
    results, work = Results(file_storage), Work.of("users/a", "mix", {})
    (tmp_path / "made").write_bytes(b"sound")
    audio = await results.put(work.key("m4a"), tmp_path / "made", "audio/mp4")
    await results.keep(work, {"audio": audio})
    (tmp_path / "made").write_bytes(b"sonud")
    await results.put(work.key("m4a"), tmp_path / "made", "audio/mp4")
    assert await results.find(work) is None


@pytest.mark.parametrize("sha256", ["", "ab", "A" * 64, "0" * 63 + "\n"])
def test_an_input_without_a_checksum_has_no_place_in_a_key(sha256):
    with pytest.raises(InvalidInput) as caught:
        content(ObjectRef("file:///users/a/in", sha256, 5, "audio/wav"))
    assert caught.value.reason == "unverified_object"


def test_any_other_parameter_is_another_key():
    keys = {Work.of("a", "mix", {"gain": gain}).key("m4a") for gain in (1, 2, 1.5)}
    assert len(keys) == 3
    assert all(key.startswith("a/mix-") for key in keys)
