"""Media made with the real ffmpeg, and the mixer's use cases on an empty store."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onevoice_kit.media_exec import Ffmpeg, MediaLimits
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.storage.file import FileStorage
from services.mixer.servicer import UseCases

RATE = 48_000


class Workbench:
    """Makes media, stores it, and reads what came out."""

    def __init__(self, folder: Path, storage: FileStorage) -> None:
        self.folder = folder
        self.storage = storage

    def make(self, name: str, *arguments: str) -> Path:
        """A file that ffmpeg writes."""
        path = self.folder / name
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)], check=True)
        return path

    def video(self, name: str = "video.mp4", *, seconds: float = 6, sound: str = "sine=f=440:r=48000") -> Path:
        """A small H.264 video with B-frames; with sound where `sound` is not empty."""
        source = ["-f", "lavfi", "-i", f"testsrc2=s=160x90:r=25:d={seconds}"]
        source += ["-f", "lavfi", "-i", f"{sound}:d={seconds}"] if sound else []
        codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-pix_fmt", "yuv420p"]
        return self.make(name, *source, *codecs, "-c:a", "aac", "-movflags", "+faststart")

    def wav(self, name: str, samples: np.ndarray, rate: int = RATE) -> Path:
        """16-bit WAV; `samples` are −1 to 1, shape `(n,)` or `(n, channels)`."""
        path = self.folder / name
        rows = samples.reshape(len(samples), -1)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(rows.shape[1])
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((rows.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
        return path

    async def store(self, path: Path, content_type: str = "application/octet-stream") -> ObjectRef:
        """The file as an object."""
        return await self.storage.put_file(f"in/{path.name}", path, content_type)

    async def store_text(self, name: str, text: str) -> ObjectRef:
        """A small text as an object."""
        return await self.storage.put_bytes(f"in/{name}", text.encode(), "application/x-subrip")

    async def fetch(self, ref: ObjectRef) -> Path:
        """An object as a file of our own."""
        path = self.folder / Path(ref.uri).name
        async with self.storage.open_local(ref) as local:
            path.write_bytes(local.read_bytes())
        return path

    async def samples(
        self, ref: ObjectRef, *, rate: int = RATE, channels: int = 2, stream: str = "0:a:0"
    ) -> np.ndarray:
        """Decoded sound, shape `(n, channels)`."""
        return decode(await self.fetch(ref), rate=rate, channels=channels, stream=stream)


def decode(path: Path, *, rate: int = RATE, channels: int = 2, stream: str = "0:a:0") -> np.ndarray:
    """Decoded sound of a file, shape `(n, channels)`."""
    kind = ["-map", stream, "-f", "f32le", "-ar", str(rate), "-ac", str(channels), "-"]
    data = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), *kind], check=True, capture_output=True).stdout
    return np.frombuffer(data, dtype="<f4").reshape(-1, channels)


@pytest.fixture
def temp_dir(tmp_path: Path) -> Path:
    """The folder for workspaces; tests check that nothing is left in it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def ffmpeg(temp_dir: Path) -> Ffmpeg:
    """The media tools with limits that small test media keep."""
    return Ffmpeg(MediaLimits(max_duration_s=3600, max_file_bytes=100 << 20, time_limit_s=120), temp_dir)


@pytest.fixture
def bench(tmp_path: Path, file_storage: FileStorage) -> Workbench:
    """Makes and reads media."""
    return Workbench(Path(tempfile.mkdtemp(dir=tmp_path)), file_storage)


@pytest.fixture
def use_cases(file_storage: FileStorage, ffmpeg: Ffmpeg) -> UseCases:
    """The mixer without its transport."""
    return UseCases.over(file_storage, ffmpeg)


@pytest.fixture
def left_over(temp_dir: Path) -> Callable[[], list[str]]:
    """Names of what is left of workspaces."""
    return lambda: [path.name for path in temp_dir.iterdir()]
