"""Tiny models in the forms that F5-TTS loads, with weights of no meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MEL = {"sample_rate": 24_000, "n_fft": 1024, "hop_length": 256, "n_mels": 100, "padding": "center"}
_ARCHITECTURE = {
    "dim": 32,
    "depth": 1,
    "heads": 1,
    "ff_mult": 1,
    "text_dim": 16,
    "text_mask_padding": True,
    "conv_layers": 1,
}


def model(folder: Path) -> tuple[Path, Path, Path]:
    """The configuration, the weights and the vocabulary of a model."""
    import torch
    import yaml
    from f5_tts.model import CFM, DiT
    from f5_tts.model.utils import get_tokenizer
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(" !',.?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") + "\n")
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump({"model": {"backbone": "DiT", "arch": _ARCHITECTURE}}))
    signs, count = get_tokenizer(str(vocabulary), "custom")
    torch.manual_seed(1)
    made = CFM(
        transformer=DiT(**_ARCHITECTURE, text_num_embeds=count, mel_dim=100),
        mel_spec_kwargs={
            "n_fft": 1024,
            "hop_length": 256,
            "win_length": 1024,
            "n_mel_channels": 100,
            "target_sample_rate": 24_000,
            "mel_spec_type": "vocos",
        },
        vocab_char_map=signs,
    )
    weights = folder / "tiny.safetensors"
    save_file({f"ema_model.{name}": value.contiguous() for name, value in made.state_dict().items()}, weights)
    return config, weights, vocabulary


def vocoder(folder: Path) -> Path:
    """A folder with a Vocos model."""
    import torch
    import yaml
    from vocos import Vocos

    folder.mkdir(parents=True)
    parts: dict[str, dict[str, Any]] = {
        "feature_extractor": {"class_path": "vocos.feature_extractors.MelSpectrogramFeatures", "init_args": _MEL},
        "backbone": {
            "class_path": "vocos.models.VocosBackbone",
            "init_args": {"input_channels": 100, "dim": 16, "intermediate_dim": 32, "num_layers": 1},
        },
        "head": {
            "class_path": "vocos.heads.ISTFTHead",
            "init_args": {"dim": 16, "n_fft": 1024, "hop_length": 256, "padding": "center"},
        },
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(parts))
    torch.manual_seed(2)
    torch.save(Vocos.from_hparams(str(config)).state_dict(), folder / "pytorch_model.bin")
    return folder
