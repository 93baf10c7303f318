"""The use case behind Separate, with engines that need no model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Busy, Internal, InvalidInput, OneVoiceError, Unavailable
from onevoice_kit.storage.base import ObjectRef
from services.asr.engines.base import Capabilities, Stems
from services.asr.engines.none import NoSeparation
from services.asr.separation import Separated, Separation
from tests.unit.asr.fakes import registry_of


class FakeSeparation:
    """Writes stems that name their engine; `failure` makes it fail."""

    separates = True

    def __init__(self, name: str = "fake", version: str = "1", missing: str = "") -> None:
        self.name = name
        self.capabilities = Capabilities(info=EngineInfo(name, "", version), missing=missing)
        self.failure: OneVoiceError | None = None
        self.calls = 0
        self.folders: list[Path] = []

    async def describe(self) -> Capabilities:
        return self.capabilities

    async def separate(self, programme: Path, stems: Stems, report: Callable[[float], None]) -> None:
        self.calls += 1
        self.folders.append(stems.background.parent)
        if self.failure:
            raise self.failure
        stems.background.write_bytes(self.name.encode())
        shutil.copyfile(programme, stems.voice)


@pytest.fixture
async def programme(file_storage) -> ObjectRef:
    stored: ObjectRef = await file_storage.put_bytes("tests/programme.flac", b"programme", "audio/flac")
    return stored


@pytest.fixture
def separate(file_storage, programme) -> Any:
    async def run(*engines: Any, engine: str = "", ref: ObjectRef = programme) -> Separated:
        limit = Limit(1, 0, subject="Separation", retry_after_s=1)
        use_case = Separation(file_storage, registry_of(*engines), limit)
        return await use_case.separate(ref, "tests/asr", engine, lambda _: None)

    return run


def off() -> Any:
    """The engine `none`, as a registry of these tests names it."""
    engine: Any = NoSeparation()
    engine.name = "none"
    return engine


async def test_both_stems_are_stored_and_their_folder_goes(separate, file_storage):
    engine = FakeSeparation()
    found = await separate(engine, off())
    assert (found.engine.name, found.reason) == ("fake", "")
    assert await file_storage.get_bytes(file_storage.key(found.background.uri)) == b"fake"
    assert await file_storage.get_bytes(file_storage.key(found.voice.uri)) == b"programme"
    assert not engine.folders[0].exists()


async def test_a_repeat_is_found_and_another_version_is_another_result(separate):
    first, newer = FakeSeparation(), FakeSeparation(version="2")
    made = await separate(first)
    assert await separate(first) == made
    assert first.calls == 1
    assert (await separate(newer)).background != made.background
    assert newer.calls == 1


@pytest.mark.parametrize("failure", [Internal("It broke."), Unavailable("It broke.", reason="worker_lost")])
async def test_an_engine_that_fails_leaves_the_programme_whole_and_the_reason_is_given(separate, failure):
    engine = FakeSeparation()
    engine.failure = failure
    for found in (await separate(engine, off()), await separate(engine, engine="fake")):
        assert (found.engine.name, found.background, found.voice, found.reason) == ("none", None, None, "It broke.")
    assert not any(folder.exists() for folder in engine.folders)


async def test_the_next_engine_takes_over_before_the_programme_stays_whole(separate):
    broken, works = FakeSeparation("broken"), FakeSeparation("works")
    broken.failure = Internal("It broke.")
    assert (await separate(broken, works, off())).engine.name == "works"


async def test_a_separator_that_is_not_installed_is_named(separate):
    absent = FakeSeparation("absent", missing="It needs a package.")
    for found in (await separate(absent, off()), await separate(absent), await separate(absent, engine="absent")):
        assert (found.engine.name, found.reason) == ("none", "It needs a package.")
    assert absent.calls == 0


async def test_separation_that_is_off_costs_nothing_and_has_a_reason(separate):
    engine = FakeSeparation()
    found = await separate(off(), engine)
    assert (found.engine.name, found.reason) == ("none", "Separation is off: the engine is “none”.")
    assert engine.calls == 0


@pytest.mark.parametrize("failure", [InvalidInput("No sound.", reason="invalid_audio"), Busy(reason="queue_full")])
async def test_a_bad_programme_and_a_full_engine_are_errors(separate, failure):
    engine = FakeSeparation()
    engine.failure = failure
    with pytest.raises(type(failure)) as caught:
        await separate(engine, off())
    assert caught.value.reason == failure.reason


async def test_a_request_that_names_no_engine_or_object_of_ours_is_refused(separate, programme):
    unverified = ObjectRef(programme.uri, "", programme.size, programme.content_type)
    with pytest.raises(InvalidInput) as unknown:
        await separate(FakeSeparation(), engine="nonsense")
    with pytest.raises(InvalidInput) as unnamed:
        await separate(FakeSeparation(), ref=unverified)
    assert [unknown.value.reason, unnamed.value.reason] == ["unknown_engine", "unverified_object"]
