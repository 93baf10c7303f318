"""`onevoice models`, against a model hub on this machine."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from onevoice_cli.main import app
from onevoice_cli.models.catalogue import KNOWN, Known, find
from onevoice_cli.models.commands import DEFAULT_FOLDER
from onevoice_cli.models.fetch import _lock, fetch
from onevoice_cli.models.hub import Hub
from onevoice_kit.engines.model_store import FileRecord, StoredModel, stored_models
from onevoice_kit.errors import Conflict, Forbidden, InvalidInput, NotFound, PreconditionFailed, Unavailable
from services.translate.engines.base import LanguagePair, Line
from services.translate.engines.ct2 import Ct2
from services.translate.engines.ct2_files import routes
from services.translate.settings import TranslateSettings
from tests.support import ct2_models
from tests.support.hub_server import hub_server

MODEL = find("opus-mt-en-es")
WEIGHTS = bytes(range(256)) * 4096
FILES = {
    "model.bin": WEIGHTS,
    "config.json": b'{"add_source_eos": false}',
    "shared_vocabulary.json": b'["</s>"]',
    "source.spm": b"pieces",
    "target.spm": b"others",
    "README.md": b"By someone.",
}


@pytest.fixture
def hub():
    with hub_server() as server:
        server.models[MODEL.id] = {**FILES, "pytorch_model.bin": b"not needed", "onnx/model.bin": b"not needed"}
        yield server


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


@contextmanager
def no_progress(_what, _total):
    yield lambda _count: None


def fetched(hub, folder, known=MODEL, progress=no_progress):
    return fetch(known, folder, Hub(hub.url, wait=lambda _: None), progress)


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != "onevoice-model.json"}


def test_the_files_that_the_engine_needs_are_fetched_with_their_hashes(hub, folder):
    stored = fetched(hub, folder)
    assert contents(folder / "opus-mt-en-es") == FILES
    assert stored_models(folder) == [stored]
    assert (stored.id, stored.revision, stored.licence) == (MODEL.id, hub.revision, "Apache-2.0")
    assert stored.damaged() == []


def test_a_model_that_is_here_is_not_fetched_again(hub, folder):
    fetched(hub, folder)
    hub.asked.clear()
    fetched(hub, folder)
    assert hub.asked == []


def test_a_newer_commit_replaces_the_model(hub, folder):
    fetched(hub, folder)
    hub.revision, hub.models[MODEL.id] = "f" * 40, {**FILES, "model.bin": b"new"}
    assert fetched(hub, folder).revision == "f" * 40
    assert (folder / "opus-mt-en-es" / "model.bin").read_bytes() == b"new"
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["opus-mt-en-es"]


def test_a_damaged_model_is_fetched_again(hub, folder):
    (fetched(hub, folder).folder / "source.spm").write_bytes(b"Pieces")
    assert fetched(hub, folder).damaged() == []


def test_a_cut_connection_is_resumed_where_it_ended(hub, folder):
    hub.cuts = [300_000, 100_000]
    fetched(hub, folder)
    asked = [wanted for name, wanted in hub.asked if name == "model.bin"]
    assert asked == ["", "bytes=300000-", "bytes=400000-"]
    assert contents(folder / "opus-mt-en-es") == FILES


def test_an_interrupted_fetch_goes_on_with_the_next_one(hub, folder):
    class Interrupted(Exception):
        pass

    @contextmanager
    def interrupt(what, _total):
        def report(count: int) -> None:
            if count:
                raise Interrupted

        yield report if what.endswith("model.bin") else lambda _: None

    with pytest.raises(Interrupted):
        fetched(hub, folder, progress=interrupt)
    assert stored_models(folder) == []
    hub.asked.clear()
    fetched(hub, folder)
    have = int(next(wanted for name, wanted in hub.asked if name == "model.bin").removeprefix("bytes=").rstrip("-"))
    assert have > 0
    assert contents(folder / "opus-mt-en-es") == FILES


def test_a_hub_without_ranges_sends_the_whole_file_again(hub, folder):
    hub.ranges, hub.cuts = False, [300_000]
    seen: list[int] = []

    @contextmanager
    def count(_what, _total):
        yield seen.append

    fetched(hub, folder, progress=count)
    assert contents(folder / "opus-mt-en-es") == FILES
    assert sum(seen) == sum(map(len, FILES.values()))


def test_a_busy_hub_is_asked_again(hub, folder):
    hub.statuses = [503, 429]
    fetched(hub, folder)
    assert contents(folder / "opus-mt-en-es") == FILES


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_a_file_that_is_not_the_listed_one_is_not_kept(hub, folder, name):
    hub.sent = {name: FILES[name][::-1]}
    with pytest.raises(PreconditionFailed) as caught:
        fetched(hub, folder)
    assert caught.value.reason == "wrong_hash"
    assert stored_models(folder) == []
    hub.sent = {}
    assert fetched(hub, folder).damaged() == []


def test_a_model_whose_known_hash_changed_is_refused_before_anything_is_fetched(hub, folder):
    known = Known("m", MODEL.id, "", sha256={"model.bin": "0" * 64})
    with pytest.raises(PreconditionFailed) as caught:
        fetched(hub, folder, known)
    assert caught.value.reason == "model_changed"
    assert hub.asked == []


def test_without_room_on_the_disk_nothing_is_fetched(hub, folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10**6))
    with pytest.raises(PreconditionFailed, match="1 MB are free") as caught:
        fetched(hub, folder)
    assert caught.value.reason == "disk_full"
    assert hub.asked == []


def test_one_process_at_a_time_fetches_a_model(hub, folder):
    folder.mkdir()
    with _lock(folder / f".{MODEL.name}.lock", MODEL.name), pytest.raises(Conflict) as caught:
        fetched(hub, folder)
    assert caught.value.reason == "already_running"
    fetched(hub, folder)


def test_what_the_hub_does_not_have_is_not_found(hub, folder):
    with pytest.raises(NotFound) as caught:
        fetched(hub, folder, find("someone/else"))
    assert caught.value.reason == "model_not_found"


def test_a_model_in_another_form_is_not_fetched(hub, folder):
    hub.models[MODEL.id] = {"pytorch_model.bin": b"weights", "config.json": b"{}"}
    with pytest.raises(PreconditionFailed) as caught:
        fetched(hub, folder)
    assert caught.value.reason == "not_converted"


def test_a_model_behind_a_licence_names_the_token(hub, folder):
    hub.statuses = [403]
    with pytest.raises(Forbidden, match="HF_TOKEN"):
        fetched(hub, folder)


def test_a_hub_that_does_not_answer_is_unavailable(hub, folder):
    hub.statuses = [500] * 10
    with pytest.raises(Unavailable) as caught:
        fetched(hub, folder)
    assert caught.value.reason == "hub_unavailable"


def test_a_model_of_the_hub_is_found_by_its_id_and_no_other_text():
    assert find("someone/a-model").name == "someone--a-model"
    assert find(MODEL.id) == MODEL
    for wanted in ("nonsense", "../x", "a/../b", "a/b/c", "/etc", "a/"):
        with pytest.raises(InvalidInput):
            find(wanted)


def test_the_known_models_have_names_of_their_own():
    assert len({known.name for known in KNOWN}) == len({known.id for known in KNOWN}) == len(KNOWN)


def test_the_service_looks_where_the_command_puts_models():
    assert TranslateSettings.model_fields["onevoice_models"].default == DEFAULT_FOLDER


async def test_a_fetched_model_translates(hub, folder, tmp_path):
    made = ct2_models.opus(tmp_path / "made")
    hub.models[MODEL.id] = {path.name: path.read_bytes() for path in made.iterdir()}
    fetched(hub, folder)
    engine = Ct2(TranslateSettings(onevoice_models=folder))
    pair = LanguagePair("en", "es")
    assert (await engine.describe()).pairs == (pair,)
    assert engine.used_for(pair).model == MODEL.id
    [answer] = await engine.translate(pair, [Line("The dog is here.")], (), lambda _: None)
    assert answer.text == "The dog is here."
    await engine.close()


@pytest.mark.parametrize("known", [one for one in KNOWN if one.name.startswith("opus-mt")], ids=lambda one: one.name)
def test_each_known_model_for_one_source_names_its_languages(tmp_path, known):
    tokens = ["</s>", ">>spa<<", ">>cat<<"] if "romance" in known.name else ["</s>"]
    for name in ("model.bin", "source.spm", "target.spm"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "shared_vocabulary.json").write_text(json.dumps(tokens))
    files = {"model.bin": FileRecord(0, "")}
    StoredModel(tmp_path, known.id, "0123", known.licence, files).write()
    served, problems = routes((known.id,), tmp_path.parent, ("en", "es", "ca", "fr"))
    source, _, targets = known.languages.partition(" → ")
    assert problems == []
    assert {pair.source for pair in served} == {source}
    assert {pair.target for pair in served} == ({"es", "ca"} if "romance" in known.name else {targets})


def test_the_command_fetches_lists_and_verifies(hub, folder, monkeypatch):
    monkeypatch.setenv("ONEVOICE_MODELS", str(folder))
    monkeypatch.setenv("ONEVOICE_MODELS_HUB", hub.url)
    hub.models["someone/a-model"] = FILES
    run = CliRunner().invoke
    assert "There are no models" in run(app, ["models", "verify"]).output
    got = run(app, ["models", "get", "opus-mt-en-es", "someone/a-model"])
    assert got.exit_code == 0
    assert "licence: Apache-2.0" in got.output
    assert "licence: apache-2.0" in got.output
    listed = run(app, ["models", "list"], env={"COLUMNS": "200"}).output
    assert "someone--a-model" in listed
    assert MODEL.id in listed
    assert run(app, ["models", "verify"]).output == "opus-mt-en-es: ok\nsomeone--a-model: ok\n"
    (folder / "opus-mt-en-es" / "model.bin").write_bytes(WEIGHTS[::-1])
    verified = run(app, ["models", "verify", "opus-mt-en-es"])
    assert verified.exit_code == 1
    assert verified.output == "opus-mt-en-es: damaged: model.bin\n"
