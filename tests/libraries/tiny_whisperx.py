"""Tiny models in the forms that WhisperX loads, made by hand: one text for every sound, and speakers of no meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

TEXT = ("Hello", " world", ",", " this", " is", " a", " test", ".")
"""The tokens of the text that the Whisper model gives every sound."""
_SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|es|>",
    "<|transcribe|>",
    "<|translate|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
_WIDTH = 32
_MELS, _FRAMES, _POSITIONS = 80, 1500, 448
_PROMPT = 4
"""Tokens before the first of the text: start, language, task, no times."""


def whisper(folder: Path) -> Path:
    """
    A Whisper model in CTranslate2's form whose decoder looks at the position alone: the token at a position is the
    next of `TEXT`, and after them the end.
    """
    from ctranslate2.specs import WhisperSpec

    folder.mkdir(parents=True)
    # The library asks for the empty token.
    tokens = [*(_bytes(token) for token in TEXT), "", *_SPECIAL]
    spec = WhisperSpec(1, 1, 1, 1)
    for convolution, inputs in ((spec.encoder.conv1, _MELS), (spec.encoder.conv2, _WIDTH)):
        convolution.weight = np.zeros((_WIDTH, inputs, 3), np.float32)
        convolution.bias = np.zeros(_WIDTH, np.float32)
    spec.encoder.position_encodings.encodings = np.zeros((_FRAMES, _WIDTH), np.float32)
    spec.decoder.position_encodings.encodings = np.eye(_POSITIONS, _WIDTH, dtype=np.float32)
    spec.decoder.embeddings.weight = np.zeros((len(tokens), _WIDTH), np.float32)
    for part in (spec.encoder, spec.decoder):
        _norm(part.layer_norm)
        layer = part.layer[0]
        _attention(layer.self_attention)
        _norm(layer.ffn.layer_norm)
        _linear(layer.ffn.linear_0, _WIDTH, _WIDTH)
        _linear(layer.ffn.linear_1, _WIDTH, _WIDTH)
    _attention(spec.decoder.layer[0].attention, crossed=True)
    projection = np.zeros((len(tokens), _WIDTH), np.float32)
    end = tokens.index("<|endoftext|>")
    for position in range(_WIDTH):
        token = position - (_PROMPT - 1)
        projection[token if 0 <= token < len(TEXT) else end, position] = 10
    spec.decoder.projection.weight = projection
    spec.decoder.projection.bias = np.zeros(len(tokens), np.float32)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids, spec.config.alignment_heads = [], [(0, 0)]
    spec.validate()
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    return folder


def aligner(folder: Path) -> Path:
    """A model for alignment in the form of transformers, with weights of no meaning."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder.mkdir(parents=True)
    signs = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({sign: place for place, sign in enumerate(signs)}))
    torch.manual_seed(1)
    config = Wav2Vec2Config(
        vocab_size=len(signs),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary), pad_token="<pad>", unk_token="<unk>", word_delimiter_token="|")
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def speakers(folder: Path) -> Path:
    """A pipeline for speakers in the form of pyannote 4, with weights of no meaning."""
    import torch
    import yaml
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import XVectorSincNet
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(2)
    segmentation = PyanNet(lstm={"hidden_size": 8, "num_layers": 1, "bidirectional": True}, linear={"num_layers": 0})
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["speaker#1", "speaker#2"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    embedding = XVectorSincNet(dimension=32)
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=["a", "b"]
    )
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        model.build()
        _save(model, folder / name)
    (folder / "plda").mkdir()
    rng = np.random.default_rng(3)
    np.savez(
        folder / "plda" / "xvec_transform.npz", mean1=np.zeros(32), mean2=np.zeros(16), lda=rng.normal(size=(32, 16))
    )
    np.savez(folder / "plda" / "plda.npz", mu=np.zeros(16), tr=np.eye(16), psi=np.linspace(2, 1, 16))
    params = {"segmentation": "$model/segmentation", "embedding": "$model/embedding", "plda": "$model/plda"}
    config = {
        "pipeline": {"name": "pyannote.audio.pipelines.SpeakerDiarization", "params": params},
        "params": {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def sentences(folder: Path) -> Path:
    """A folder for the variable NLTK_DATA with the parameters of a splitter of sentences without any rule."""
    english = folder / "tokenizers" / "punkt_tab" / "english"
    english.mkdir(parents=True)
    for name in ("abbrev_types.txt", "collocations.tab", "sent_starters.txt", "ortho_context.tab"):
        (english / name).write_text("")
    return folder


def _save(model: Any, folder: Path) -> None:
    import lightning
    import torch

    folder.mkdir(parents=True)
    checkpoint: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def _tokenizer(tokens: list[str]) -> Any:
    import tokenizers
    from tokenizers import decoders, models

    vocabulary = {token: place for place, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=""))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(_SPECIAL))
    return tokenizer


def _bytes(token: str) -> str:
    """A token as a byte-level vocabulary has it."""
    return token.replace(" ", "Ġ")


def _attention(layer: Any, *, crossed: bool = False) -> None:
    _norm(layer.layer_norm)
    for linear, outputs in zip(
        layer.linear, (_WIDTH, 2 * _WIDTH, _WIDTH) if crossed else (3 * _WIDTH, _WIDTH), strict=True
    ):
        _linear(linear, outputs, _WIDTH)


def _norm(layer: Any) -> None:
    layer.gamma, layer.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)


def _linear(layer: Any, outputs: int, inputs: int) -> None:
    layer.weight, layer.bias = np.zeros((outputs, inputs), np.float32), np.zeros(outputs, np.float32)
