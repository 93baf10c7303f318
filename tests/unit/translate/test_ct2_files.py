"""The pairs that a translation model serves, found from its files, its name and the settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onevoice_kit.engines.model_store import FileRecord, StoredModel
from services.translate.engines.base import LanguagePair
from services.translate.engines.ct2_files import Family, Unusable, read, routes

LANGUAGES = ("en", "es", "ca", "fr", "zh", "zh-TW", "ar", "nb", "en-GB", "pt-BR")
PIECES = {"opus": ("source.spm", "target.spm"), "other": ("sentencepiece.bpe.model",)}


def model(folder: Path, tokens: list[str], pieces: str = "other", vocabulary: str = "shared_vocabulary.json") -> Path:
    folder.mkdir(parents=True)
    for name in ("model.bin", *PIECES[pieces]):
        (folder / name).write_bytes(b"")
    text = json.dumps(tokens) if vocabulary.endswith("json") else "\n".join(tokens)
    (folder / vocabulary).write_text(text, encoding="utf-8")
    return folder


def served(*wanted: str, folder: Path = Path("/nowhere")) -> dict[LanguagePair, tuple[str, str]]:
    found, problems = routes(wanted, folder, LANGUAGES)
    assert problems == []
    return {pair: (route.source_token, route.target_token) for pair, route in found.items()}


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("opus-mt-en-es", ("en", "es")),
        ("opus-mt-en-ca-ctranslate2", ("en", "ca")),
        ("opus-mt-tc-big-en-pt", ("en", "pt")),
        ("ct2fast-opus-mt-es-en", ("es", "en")),
    ],
)
def test_an_opus_model_serves_the_pair_in_its_name(tmp_path, name, pair):
    assert served(str(model(tmp_path / name, ["</s>"], "opus"))) == {LanguagePair(*pair): ("", "")}


def test_an_opus_model_with_many_targets_gets_the_token_of_each(tmp_path):
    folder = model(tmp_path / "opus-mt-en-ROMANCE", ["</s>", ">>spa<<", ">>cat<<", ">>por_BR<<"], "opus")
    assert served(str(folder)) == {
        LanguagePair("en", "es"): ("", ">>spa<<"),
        LanguagePair("en", "ca"): ("", ">>cat<<"),
        LanguagePair("en", "pt-BR"): ("", ">>por_BR<<"),
    }


def test_a_pair_of_the_settings_goes_before_the_name(tmp_path):
    folder = model(tmp_path / "opus-mt-itc-itc", ["</s>", ">>spa<<", ">>cat<<"], "opus")
    assert served(f"fr:ca={folder}") == {LanguagePair("fr", "ca"): ("", ">>cat<<")}


def test_an_m2m100_model_serves_each_pair_of_its_languages(tmp_path):
    found = served(str(model(tmp_path / "m2m", ["</s>", "__en__", "__es__", "__zh__", "__no__"])))
    assert found[LanguagePair("en", "es")] == ("__en__", "__es__")
    assert found[LanguagePair("es", "nb")] == ("__es__", "__no__")
    assert LanguagePair("en", "fr") not in found
    assert LanguagePair("en", "en-GB") not in found  # one token: nothing to translate


def test_an_nllb_model_is_given_its_own_names_of_languages(tmp_path):
    tokens = ["eng_Latn", "spa_Latn", "zho_Hans", "zho_Hant", "arb_Arab", "nob_Latn"]
    found = served(str(model(tmp_path / "nllb", tokens, vocabulary="shared_vocabulary.txt")))
    assert found[LanguagePair("en", "zh")] == ("eng_Latn", "zho_Hans")
    assert found[LanguagePair("en", "zh-TW")] == ("eng_Latn", "zho_Hant")
    assert found[LanguagePair("ar", "nb")] == ("arb_Arab", "nob_Latn")


def test_a_model_for_a_pair_goes_before_one_for_many_languages(tmp_path):
    many = model(tmp_path / "m2m", ["__en__", "__es__", "__fr__"])
    one = model(tmp_path / "opus-mt-en-es", ["</s>"], "opus")
    found, _ = routes((str(many), str(one)), tmp_path, LANGUAGES)
    assert found[LanguagePair("en", "es")].model.family is Family.OPUS
    assert found[LanguagePair("en", "fr")].model.family is Family.M2M100


def test_without_settings_every_fetched_model_serves(tmp_path):
    folder = model(tmp_path / "opus-mt-en-es", ["</s>"], "opus")
    StoredModel(folder, "someone/opus-mt-en-es", "0123abcd", "Apache-2.0", {"model.bin": FileRecord(0, "")}).write()
    model(tmp_path / "opus-mt-en-fr", ["</s>"], "opus")  # without a record: not fetched, or not completely
    found, problems = routes((), tmp_path, LANGUAGES)
    assert problems == []
    [route] = found.values()
    assert (route.model.name, route.model.revision) == ("someone/opus-mt-en-es", "0123abcd")


@pytest.mark.parametrize("wanted", ["opus-mt-en-es", "someone/opus-mt-en-es"])
def test_a_fetched_model_has_the_name_of_its_folder_and_its_hub_id(tmp_path, wanted):
    folder = model(tmp_path / "opus-mt-en-es", ["</s>"], "opus")
    StoredModel(folder, "someone/opus-mt-en-es", "0123abcd", "Apache-2.0", {"model.bin": FileRecord(0, "")}).write()
    assert set(served(wanted, folder=tmp_path)) == {LanguagePair("en", "es")}


def test_a_cut_file_is_noticed_before_anything_is_loaded(tmp_path):
    folder = model(tmp_path / "opus-mt-en-es", ["</s>"], "opus")
    StoredModel(folder, "someone/opus-mt-en-es", "0123abcd", "Apache-2.0", {"model.bin": FileRecord(5, "")}).write()
    found, [problem] = routes((), tmp_path, LANGUAGES)
    assert found == {}
    assert "`onevoice models get opus-mt-en-es` fetches it again" in problem


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("opus-mt-en-xx", "`onevoice models get opus-mt-en-xx` fetches it"),
        ("english:es={folder}/opus", "no pair of languages"),
        ("{folder}/empty", "no model.bin"),
        ("{folder}/opus", "does not name its languages"),
        ("{folder}/words", "none of OPUS-MT, M2M100 and NLLB"),
        ("de:it={folder}/m2m", "does not have the languages"),
    ],
)
def test_a_model_that_cannot_be_used_is_explained(tmp_path, wanted, problem):
    (tmp_path / "empty").mkdir()
    model(tmp_path / "opus", ["</s>"], "opus")
    model(tmp_path / "words", ["</s>", "word"])
    model(tmp_path / "m2m", ["__en__", "__es__"])
    found, [sentence] = routes((wanted.format(folder=tmp_path),), tmp_path, LANGUAGES)
    assert found == {}
    assert problem in sentence


def test_a_folder_without_a_vocabulary_is_no_model(tmp_path):
    folder = model(tmp_path / "opus-mt-en-es", ["</s>"], "opus")
    (folder / "shared_vocabulary.json").unlink()
    with pytest.raises(Unusable, match="no vocabulary"):
        read(folder)


def test_the_end_of_a_line_is_appended_by_the_runtime_where_the_model_has_it_so(tmp_path):
    folder = model(tmp_path / "opus-mt-en-es", ["</s>"], "opus")
    assert read(folder).adds_end is False
    (folder / "config.json").write_text('{"add_source_eos": true}')
    assert read(folder).adds_end is True
