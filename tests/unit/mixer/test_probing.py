"""A source is probed once, whatever calls follow; what was refused is looked at again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Ffmpeg, MediaFacts
from services.mixer import probing
from services.mixer.probing import KnownFacts


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really probed, by name; every file has a picture and no sound."""
    seen: list[str] = []

    async def probe(_ffmpeg: Ffmpeg, file: Path, _workspace: object) -> MediaFacts:
        seen.append(file.name)
        return MediaFacts(container="mov,mp4", duration_s=1.0, video=None, audio=())

    monkeypatch.setattr(probing, "probe", probe)
    return seen


async def test_the_same_content_is_probed_once(probed: list[str]) -> None:
    known: Any = KnownFacts(Ffmpeg())
    first = await known.of("a" * 64, Path("one"), None)
    assert await known.of("a" * 64, Path("two"), None) is first
    assert probed == ["one"]


async def test_the_requirements_of_a_call_are_checked_also_on_known_facts(probed: list[str]) -> None:
    known: Any = KnownFacts(Ffmpeg())
    await known.of("a" * 64, Path("one"), None)
    with pytest.raises(InvalidInput) as caught:
        await known.of("a" * 64, Path("one"), None, require_audio=True)
    assert caught.value.reason == "no_audio"


async def test_the_oldest_are_forgotten(probed: list[str]) -> None:
    known: Any = KnownFacts(Ffmpeg(), capacity=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        await known.of(name, Path(name), None)
    assert probed == ["a", "b", "c", "b"]


async def test_a_file_that_was_probed_when_it_was_made_is_not_probed_again(probed: list[str]) -> None:
    known: Any = KnownFacts(Ffmpeg())
    made = MediaFacts(container="mov,mp4", duration_s=1.0, video=None, audio=())
    known.remember("a" * 64, made)
    assert await known.of("a" * 64, Path("one"), None) is made
    assert probed == []
