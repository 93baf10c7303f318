"""Bad inputs, made on the spot."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from onevoice_cli.sample import speech_folder

Make = Callable[[Path], None]


def empty(path: Path) -> None:
    """No bytes at all."""
    path.write_bytes(b"")


def text(path: Path) -> None:
    """A text that calls itself a video."""
    path.write_text("This is not a video.\n" * 50)


def truncated(path: Path) -> None:
    """A good file whose second half is missing."""
    _clip(path, "-movflags", "+faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def headless(path: Path) -> None:
    """A file whose index, at its end, is missing."""
    _clip(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.9)])


def silent_film(path: Path) -> None:
    """A picture and no sound track."""
    _ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:d=3", "-c:v", "libx264", "-preset", "ultrafast", path=path)


def silence(path: Path) -> None:
    """A sound track with nothing in it."""
    _with_sound(path, "anullsrc=r=48000:cl=stereo:d=8")


def music_only(path: Path) -> None:
    """Chords with a beat."""
    chords = "+".join(f"0.06*sin(2*PI*{f}*t)" for f in (220, 261.63, 329.63, 440))
    _with_sound(path, f"aevalsrc='({chords})*(0.6+0.4*sin(2*PI*2*t))+0.05*sin(2*PI*60*t)*lt(mod(t,0.5),0.08)':d=10")


def playlist(path: Path) -> None:
    """A playlist that points at a file of the server."""
    path.write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    )


def concat_list(path: Path) -> None:
    """ffmpeg's own kind of playlist."""
    path.write_text("ffconcat version 1.0\nfile /etc/passwd\n")


def huge_picture(path: Path) -> None:
    """One frame of 12,000 × 12,000 pixels: 0.4 MB of H.264 that would take a gigabyte to decode."""
    picture = ("-f", "lavfi", "-i", "color=black:s=12000x12000:d=0.04:r=25")
    sound = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=1")
    frugal = ("-preset", "ultrafast", "-threads", "1", "-x264-params", "rc-lookahead=0:bframes=0:ref=1", "-crf", "51")
    _ffmpeg(*picture, *sound, "-c:v", "libx264", *frugal, "-c:a", "aac", "-f", "mp4", path=path)


def many_streams(path: Path) -> None:
    """Three hundred sound tracks."""
    maps = [argument for _ in range(300) for argument in ("-map", "0:a")]
    _ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=1", *maps, "-c:a", "aac", "-f", "mp4", path=path)


def speech(path: Path) -> None:
    """A good, short video."""
    _clip(path, "-movflags", "+faststart")


def _clip(path: Path, *options: str) -> None:
    recording = min(speech_folder().glob("*.wav"))
    picture = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25")
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-ar", "48000", "-ac", "2", "-shortest")
    _ffmpeg("-i", str(recording), *picture, *codecs, *options, "-f", "mp4", path=path)


def _with_sound(path: Path, source: str) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25")
    sound = ("-f", "lavfi", "-i", source)
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-shortest")
    _ffmpeg(*picture, *sound, *codecs, "-f", "mp4", path=path)


def _ffmpeg(*arguments: str, path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *arguments, str(path)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
