"""Small files that are written whole or not at all, and names that are safe in any folder."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from onevoice_kit.errors import PreconditionFailed

_UNSAFE = re.compile(r"[^\w.\- ()+,]", re.UNICODE)


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read (mode 600), atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_toml(values: Mapping[str, str]) -> str:
    """Flat string settings as TOML, in the order given."""
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def read_toml(path: Path) -> dict[str, str]:
    """The top-level strings of a TOML file; empty where there is none; `PreconditionFailed` where it is not TOML."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise PreconditionFailed(f"{path} cannot be read by this user.", reason="config_unreadable") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PreconditionFailed(f"{path} is not valid TOML: {error}.", reason="config_invalid") from None
    return {name: value for name, value in values.items() if isinstance(value, str)}


def safe_name(name: str, fallback: str = "video") -> str:
    """`name` as a file name: no separators or control characters, no leading dot, at most 120 characters."""
    cleaned = _UNSAFE.sub("_", name).strip(" .")[:120].strip(" .")
    return cleaned or fallback
