"""A Demucs of a few thousand random weights, stored as the library stores its models."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from demucs.htdemucs import HTDemucs
from safetensors.torch import save_file

_SIZES = {"channels": 8, "growth": 1, "t_layers": 1, "t_heads": 2, "t_hidden_scale": 1.0, "segment": 4}


def htdemucs(path: Path, sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")) -> Path:
    """The file of a model; the same weights each time."""
    torch.manual_seed(1)
    model = HTDemucs(list(sources), **_SIZES)
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": json.dumps([list(sources)]),
        "kwargs": json.dumps(_SIZES),
    }
    save_file(model.state_dict(), path, metadata)
    return path
