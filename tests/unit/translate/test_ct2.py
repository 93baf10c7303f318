"""The engine `ct2` on tiny models that repeat their source (`tests/support/ct2_models.py`)."""

from __future__ import annotations

import asyncio
import threading

import pytest

from onevoice_kit.engines.model_store import FileRecord, StoredModel, sha256
from onevoice_kit.errors import Busy, Unavailable
from services.translate.engines import ct2_model
from services.translate.engines.base import LanguagePair, Line, Term
from services.translate.engines.ct2 import Ct2
from services.translate.engines.ct2_files import Route, read
from services.translate.engines.ct2_model import LOADED, LoadedModel, Loading
from services.translate.settings import TranslateSettings
from tests.support import ct2_models

EN_ES = LanguagePair("en", "es")
DOG = "Where is the dog, and why?"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct2")
    ct2_models.opus(folder / "opus-mt-en-es")
    ct2_models.opus(folder / "opus-mt-en-ROMANCE", [">>spa<<", ">>cat<<"])
    ct2_models.m2m100(folder / "m2m100")
    ct2_models.nllb(folder / "nllb")
    return folder


def engine_of(*wanted, **settings) -> Ct2:
    return Ct2(TranslateSettings(translate_ct2_models=tuple(map(str, wanted)), **settings))


@pytest.fixture
async def engine(models):
    made = engine_of(models / "opus-mt-en-es")
    await made.describe()
    yield made
    await made.close()


async def translated(engine: Ct2, *lines: Line, pair: LanguagePair = EN_ES, terms=()) -> list[str]:
    await engine.describe()
    return [one.text for one in await engine.translate(pair, lines, terms, lambda _: None)]


def loaded(folder) -> LoadedModel:
    return LOADED.get(Loading(read(folder), "cpu", "", 1, 1))


@pytest.mark.parametrize(
    ("name", "route", "tokens"),
    [
        ("opus-mt-en-es", ("", ""), ["▁", "O", "k", "</s>"]),
        ("opus-mt-en-ROMANCE", ("", ">>cat<<"), [">>cat<<", "▁", "O", "k", "</s>"]),
        ("m2m100", ("__en__", "__es__"), ["__en__", "▁", "O", "k", "</s>"]),
        ("nllb", ("eng_Latn", "spa_Latn"), ["eng_Latn", "▁", "O", "k", "</s>"]),
    ],
)
def test_each_family_is_given_the_languages_in_its_own_way(models, name, route, tokens):
    files = read(models / name)
    model = loaded(models / name)
    assert model._source(["▁", "O", "k"], Route(files, *route)) == tokens
    assert model.hypotheses(["The dog is here."], Route(files, *route), 2)[0][0] == "The dog is here."


@pytest.mark.parametrize(
    ("name", "target"), [("opus-mt-en-ROMANCE", "ca"), ("m2m100", "fr"), ("nllb", "zh"), ("m2m100", "es-419")]
)
async def test_a_model_with_many_languages_translates_into_each(models, name, target):
    engine = engine_of(models / name)
    assert await translated(engine, Line("the dog is here"), pair=LanguagePair("en", target)) == ["The dog is here."]
    await engine.close()


async def test_a_line_gets_the_most_probable_translation_that_fits_its_time(engine):
    assert await translated(engine, Line(DOG)) == ["¿Where is the dog, and why?"]
    assert await translated(engine, Line(DOG, max_chars=20)) == ["¿Where is the dog?"]


async def test_every_sentence_of_a_line_is_translated(engine):
    text = "Hello. The world is bigger. Where is the dog?"
    assert await translated(engine, Line(text)) == ["Hello. The world is bigger. ¿Where is the dog?"]


async def test_a_line_longer_than_the_model_can_take_loses_no_word(engine):
    words = ["five", "red", "dog", "house"] * 90
    [text] = await translated(engine, Line(" ".join(words)))
    assert text.lower().rstrip(".").split() == words


async def test_terms_and_addresses_come_through_as_they_must(engine):
    term = Term("red box", "Caja Roja")
    lines = Line("The red box is at www.example.org now."), Line("I have my jam.")
    assert await translated(engine, *lines, terms=[term]) == [
        "The Caja Roja is at www.example.org now.",
        "I have my jam.",
    ]


async def test_the_lineage_names_the_model_and_what_it_was_computed_with(models, tmp_path):
    folder = ct2_models.opus(tmp_path / "opus-mt-en-es")
    files = {path.name: FileRecord(path.stat().st_size, sha256(path)) for path in folder.iterdir()}
    StoredModel(folder, "someone/opus-mt-en-es", "0123456789abcdef", "Apache-2.0", files).write()
    engine = engine_of(onevoice_models=tmp_path, translate_ct2_beam=2)
    await engine.describe()
    used = engine.used_for(EN_ES)
    assert used.model == "someone/opus-mt-en-es"
    assert "beam 2" in used.version
    assert used.version.endswith("revision 01234567")
    assert await translated(engine, Line("Hello.")) == ["Hello."]


async def test_a_fetched_model_whose_bytes_changed_is_not_loaded(tmp_path):
    folder = ct2_models.opus(tmp_path / "opus-mt-en-es")
    files = {path.name: FileRecord(path.stat().st_size, sha256(path)) for path in folder.iterdir()}
    StoredModel(folder, "someone/opus-mt-en-es", "0123", "Apache-2.0", files).write()
    content = bytearray((folder / "model.bin").read_bytes())
    content[1000] ^= 1
    (folder / "model.bin").write_bytes(content)
    with pytest.raises(Unavailable, match=r"model\.bin .* is not the one that was fetched") as caught:
        await translated(engine_of(onevoice_models=tmp_path), Line("Hello."))
    assert caught.value.reason == "engine_failed"


async def test_a_broken_model_is_a_failure_after_which_another_engine_may_serve(tmp_path):
    folder = ct2_models.opus(tmp_path / "opus-mt-en-es")
    (folder / "model.bin").write_bytes(b"nothing")
    with pytest.raises(Unavailable) as caught:
        await translated(engine_of(folder), Line("Hello."))
    assert caught.value.retryable
    assert caught.value.reason == "engine_failed"


async def test_without_a_model_the_engine_names_the_command_that_fetches_one(tmp_path):
    capabilities = await engine_of(onevoice_models=tmp_path / "none").describe()
    assert not capabilities.available
    assert "`onevoice models get opus-mt-en-es`" in capabilities.missing


async def test_a_model_is_loaded_once_for_all_engines_of_a_process(models):
    first, second = engine_of(models / "m2m100"), engine_of(models / "m2m100")
    await first.warm()
    await second.warm()
    assert list(first._loaded.values()) == list(second._loaded.values())
    await first.close()
    await second.close()


async def test_the_model_that_was_not_used_longest_makes_room(models):
    wanted = f"en:es={models / 'opus-mt-en-es'}", f"en:ca={models / 'm2m100'}", f"en:fr={models / 'm2m100'}"
    engine = engine_of(*wanted, translate_ct2_loaded=1)
    for target in ("es", "ca", "fr"):
        assert await translated(engine, Line("Hello."), pair=LanguagePair("en", target)) == ["Hello."]
    assert [key.files.name for key in engine._loaded] == ["m2m100"]
    await engine.close()


class Gate:
    """Holds a computation in its thread until it is opened."""

    def __init__(self, monkeypatch) -> None:
        self.entered, self.opened, self.batches = threading.Event(), threading.Event(), 0
        real = ct2_model.LoadedModel.hypotheses

        def held(model, *args):
            self.batches += 1
            self.entered.set()
            self.opened.wait(60)
            return real(model, *args)

        monkeypatch.setattr(ct2_model.LoadedModel, "hypotheses", held)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 60)


async def test_the_event_loop_is_free_while_a_line_is_computed(engine, monkeypatch):
    gate = Gate(monkeypatch)
    running = asyncio.create_task(translated(engine, Line("Hello.")))
    await gate.reached()
    gate.opened.set()  # from the event loop, while the thread computes
    assert await running == ["Hello."]


async def test_a_cancelled_call_computes_no_further_batch(engine, monkeypatch):
    gate = Gate(monkeypatch)
    running = asyncio.create_task(translated(engine, *[Line("Hello.")] * 100))
    await gate.reached()
    running.cancel()
    await asyncio.wait([running])
    gate.opened.set()
    assert await translated(engine, Line("The dog is here.")) == ["The dog is here."]
    assert gate.batches == 2


async def test_a_call_that_was_given_up_computes_no_second_round(engine, monkeypatch):
    gate = Gate(monkeypatch)
    running = asyncio.create_task(translated(engine, Line("The red box."), terms=[Term("red box", "Caja")]))
    await gate.reached()
    running.cancel()
    await asyncio.wait([running])
    gate.opened.set()
    await engine.close()  # waits for the thread
    assert gate.batches == 1


async def test_one_call_more_than_may_wait_is_refused(models, monkeypatch):
    gate = Gate(monkeypatch)
    engine = engine_of(models / "opus-mt-en-es", translate_ct2_queue=1)
    await engine.describe()
    running = [asyncio.create_task(translated(engine, Line("Hello.")))]
    await gate.reached()
    running.append(asyncio.create_task(translated(engine, Line("The dog."))))
    await asyncio.sleep(0)
    with pytest.raises(Busy) as caught:
        await engine.translate(EN_ES, [Line("Hello.")], (), lambda _: None)
    assert caught.value.reason == "queue_full"
    assert caught.value.retry_after
    gate.opened.set()
    assert await asyncio.gather(*running) == [["Hello."], ["The dog."]]
    await engine.close()


async def test_after_it_was_closed_it_refuses_lines(engine):
    await engine.close()
    with pytest.raises(Unavailable) as caught:
        await translated(engine, Line("Hello."))
    assert caught.value.reason == "shutting_down"
