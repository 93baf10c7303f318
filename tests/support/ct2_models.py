"""
Tiny models in CTranslate2's form, made by hand: each repeats its source, piece by piece.

The decoder finds the piece to say next by its position: queries and keys are the position alone, values the piece. So
what goes in is what comes out, and a test sees which pieces, language tokens and hypotheses an engine works with. Where
a comma is next, the end of the line is the second choice, so that a beam has a shorter hypothesis: what precedes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from ctranslate2.specs import TransformerSpec

_POSITIONS = 320
_SHARP = 40.0
"""Scale of what decides: far above what rounding or the norms of the layers change."""
_SENTENCES = (
    "The number is 0123456789.",
    "This is a house. Where is the dog, and why?",
    "I have my red box of jam; five wizards jump very fast! Hello, you live here.",
    "THE WORLD ABCDEFGHIJKLMNOPQRSTUVWXYZ is bigger (much bigger).",
)
"""Every letter but the small q, so that a word with one is unknown."""


def opus(folder: Path, targets: Sequence[str] = ()) -> Path:
    """A model as OPUS-MT's; with `targets`, such as `>>spa<<`, one that needs such a token."""
    pieces = _pieces(folder, "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    _write(folder, ["</s>", "<unk>", *pieces, *targets], lead=1 if targets else 0)
    return folder


def m2m100(folder: Path, languages: Sequence[str] = ("en", "es", "ca", "fr")) -> Path:
    """A model as M2M100's."""
    pieces = _pieces(folder, "sentencepiece.bpe.model")
    _write(folder, ["<s>", "<pad>", "</s>", "<unk>", *pieces, *(f"__{one}__" for one in languages)], lead=0)
    return folder


def nllb(folder: Path, languages: Sequence[str] = ("eng_Latn", "spa_Latn", "cat_Latn", "zho_Hans")) -> Path:
    """A model as NLLB's."""
    pieces = _pieces(folder, "sentencepiece.bpe.model")
    _write(folder, ["<s>", "<pad>", "</s>", "<unk>", *pieces, *languages], lead=0)
    return folder


def _pieces(folder: Path, name: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(_SENTENCES),
            model_writer=file,
            model_type="bpe",
            vocab_size=130,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            minloglevel=2,
        )
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / name))
    return [model.id_to_piece(number) for number in range(3, model.get_piece_size())]


def _write(folder: Path, tokens: Sequence[str], *, lead: int) -> None:
    """`lead`: tokens of the source before the first to repeat, for which the decoder has none."""
    spec = TransformerSpec.from_config((1, 1), 1, pre_norm=True)
    _fill(spec, len(tokens), lead, tokens.index("</s>"))
    spec.decoder.projection.weight[tokens.index("</s>"), tokens.index(",")] = 0.9
    spec.register_source_vocabulary(list(tokens))
    spec.register_target_vocabulary(list(tokens))
    spec.config.decoder_start_token = spec.config.eos_token = "</s>"
    spec.validate()
    spec.optimize()
    spec.save(str(folder))


def _fill(spec: Any, count: int, lead: int, end: int) -> None:
    width = count + _POSITIONS
    tokens = np.hstack([np.eye(count), np.zeros((count, _POSITIONS))])
    positions = np.hstack([np.zeros((_POSITIONS, count)), np.eye(_POSITIONS)])
    of_token, of_position = np.diag([1.0] * count + [0.0] * _POSITIONS), np.diag([0.0] * count + [1.0] * _POSITIONS)
    shifted = np.zeros((width, width))
    shifted[count:, count:] = np.eye(_POSITIONS, k=-lead)
    for part in (spec.encoder, spec.decoder):
        part.scale_embeddings = False
        part.position_encodings.encodings = positions.astype(np.float32)
        _norm(part.layer_norm, width)
        layer = part.layer[0]
        _norm(layer.self_attention.layer_norm, width)
        _linear(layer.self_attention.linear[0], np.zeros((3 * width, width)))
        _linear(layer.self_attention.linear[1], np.zeros((width, width)))
        _norm(layer.ffn.layer_norm, width)
        _linear(layer.ffn.linear_0, np.zeros((8, width)))
        _linear(layer.ffn.linear_1, np.zeros((width, 8)))
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = tokens.astype(np.float32)
    attention = spec.decoder.layer[0].attention
    _norm(attention.layer_norm, width)
    _linear(attention.linear[0], shifted * _SHARP)
    # Behind the last piece no position fits, and every query looks a little at the end of the line.
    of_position[end, end] = 1
    attention.linear[0].bias[end] = _SHARP * 4
    _linear(attention.linear[1], np.vstack([of_position, of_token]))
    _linear(attention.linear[2], of_token * _SHARP)
    _linear(spec.decoder.projection, tokens)


def _norm(layer: Any, width: int) -> None:
    layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)


def _linear(layer: Any, weight: np.ndarray[Any, Any]) -> None:
    layer.weight, layer.bias = weight.astype(np.float32), np.zeros(len(weight), np.float32)
