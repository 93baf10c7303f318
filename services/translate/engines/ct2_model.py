"""One loaded translation model in CTranslate2's form: sentences in, their hypotheses out; used by threads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from onevoice_kit.engines.model_store import stored_models
from onevoice_kit.engines.sharing import SharedModels
from onevoice_kit.errors import Unavailable
from services.translate.engines.ct2_files import Family, ModelFiles, Route, sentencepiece_files

_END = "</s>"
_SPECIAL = frozenset({"<s>", _END, "<pad>", "<unk>"})
_MAX_PIECES = 200
"""Longest input; the models were trained on sentences, and have at most 512 positions."""
_SPACE = "▁"
_WORD = re.compile(r"[^\W_]+(?:['’·-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Loading:
    """The properties by which a loaded model is shared."""

    files: ModelFiles = field(hash=False)
    device: str
    """`auto`, `cpu` or `cuda`."""
    compute_type: str
    """Empty: int8 on a CPU, float16 on a GPU."""
    workers: int
    """Batches that compute at once."""
    threads: int
    """Threads of one batch; 0: the cores of this process, shared by the workers."""


class LoadedModel:
    """A model in memory; safe to use from as many threads as it was loaded for."""

    def __init__(self, loading: Loading) -> None:
        """Raises `Unavailable` (reason `engine_failed`), also where a fetched model is not what was fetched."""
        import ctranslate2
        import sentencepiece

        self._files = loading.files
        _check(self._files)
        device = loading.device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        cores = max(1, len(os.sched_getaffinity(0)) // loading.workers)
        try:
            source, target = sentencepiece_files(self._files)
            self._cut = sentencepiece.SentencePieceProcessor(model_file=str(source))
            self._join = sentencepiece.SentencePieceProcessor(model_file=str(target))
            self._model = ctranslate2.Translator(
                str(self._files.folder),
                device=device,
                compute_type=loading.compute_type or ("float16" if device == "cuda" else "int8"),
                inter_threads=loading.workers,
                intra_threads=loading.threads or cores,
            )
        except (OSError, RuntimeError, ValueError) as error:
            message = f"The translation model “{self._files.name}” could not be loaded."
            raise Unavailable(message, reason="engine_failed") from error

    def parts(self, sentence: str) -> list[str]:
        """The sentence, cut between words where it is longer than the model can take."""
        pieces: list[str] = self._cut.encode(sentence, out_type=str)
        return [str(self._cut.decode_pieces(part)) for part in _short(pieces)]

    def unknown(self, text: str) -> list[str]:
        """The words that hold a character for which the model has no piece, each once."""
        if not self._has_unknown(text):
            return []
        return [word for word in dict.fromkeys(_WORD.findall(text)) if self._has_unknown(word)]

    def hypotheses(self, sentences: Sequence[str], route: Route, beam: int) -> list[list[str]]:
        """For each of `parts`, up to `beam` translations, the most probable first; the same for the same sentences."""
        if not sentences:
            return []
        cut: list[list[str]] = self._cut.encode(list(sentences), out_type=str)
        source = [self._source(pieces, route) for pieces in cut]
        prefix = [route.target_token] if route.target_token and self._files.family is not Family.OPUS else []
        try:
            results: list[Any] = self._model.translate_batch(
                source,
                target_prefix=[prefix] * len(source) if prefix else None,
                beam_size=beam,
                num_hypotheses=beam,
                max_decoding_length=32 + 2 * max(map(len, source)),
                replace_unknowns=True,
            )
        except (RuntimeError, ValueError) as error:
            message = f"The translation model “{self._files.name}” failed on a line."
            raise Unavailable(message, reason="engine_failed") from error
        return [[self._text(one, prefix) for one in result.hypotheses] for result in results]

    def _source(self, pieces: Sequence[str], route: Route) -> list[str]:
        first = route.target_token if self._files.family is Family.OPUS else route.source_token
        return [*([first] if first else []), *pieces, *([] if self._files.adds_end else [_END])]

    def _text(self, tokens: Sequence[str], prefix: Sequence[str]) -> str:
        pieces = [token for token in tokens[len(prefix) :] if token not in _SPECIAL]
        return str(self._join.decode_pieces(pieces)).strip()

    def _has_unknown(self, text: str) -> bool:
        return self._cut.unk_id() in self._cut.encode(text)


LOADED: SharedModels[Loading, LoadedModel] = SharedModels(LoadedModel)


def _check(files: ModelFiles) -> None:
    stored = next((one for one in stored_models(files.folder.parent) if one.folder == files.folder), None)
    if stored is not None and (damaged := stored.damaged()):
        raise Unavailable(
            f"The file {damaged[0]} of the translation model “{stored.name}” is not the one that was fetched; "
            f"`onevoice models get {stored.name}` fetches it again.",
            reason="engine_failed",
        )


def _short(pieces: Sequence[str]) -> Iterator[list[str]]:
    """The pieces in runs that the model can take, cut before the last word that begins in them."""
    rest = list(pieces)
    while len(rest) > _MAX_PIECES:
        starts = (place for place in range(_MAX_PIECES, 0, -1) if rest[place].startswith(_SPACE))
        end = next(starts, _MAX_PIECES)
        yield rest[:end]
        rest = rest[end:]
    yield rest
