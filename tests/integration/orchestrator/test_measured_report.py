"""The report shows the finished file: what is done to a mix by hand is in it, whatever the plan was."""

from __future__ import annotations

import asyncio
import json
import subprocess
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onevoice.mixer.v1 import mixer_service_pb2 as pb
from onevoice.tts.v1 import tts_service_pb2 as tts
from onevoice_jobs.keys import job_prefix
from onevoice_jobs.states import JobStatus
from onevoice_kit.grpc.converters import ref_to_proto
from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.storage.file import FileStorage
from services.mixer.servicer import MixerServicer, UseCases, limit
from tests.support import instant_stages as instant
from tests.support.instant_stages import Script, instant_stages

REMOVED, LATE, OVERLAPPED, OVERLAPPING = 1, 3, 5, 6
SENTENCES = (
    "Buenos días a todos.",
    "Hoy hablamos del agua.",
    "El río baja despacio.",
    "Nadie sabe cuánto queda.",
    "La casa está vacía.",
    "Vuelve mañana temprano.",
    "El tren sale de noche.",
    "Gracias y hasta pronto.",
)


class SpanishSpeech(instant.Tts):
    """Speaks each line by eSpeak NG, without the silence around it."""

    def __init__(self, script: Script, storage: FileStorage, folder: Path) -> None:
        super().__init__(script)
        self.storage, self.folder = storage, folder

    async def Synthesize(self, request: tts.SynthesizeRequest, _: object) -> tts.SynthesizeResponse:
        await self.script.enter("Synthesize", request)
        number = self.script.count("Synthesize") - 1
        path, length_ms = await asyncio.to_thread(self._speak, number)
        audio = await self.storage.put_file(f"{request.output_prefix}/line{number}.wav", path, "audio/wav")
        return tts.SynthesizeResponse(
            audio=ref_to_proto(audio), natural_ms=length_ms, engine=instant.ENGINE, voice=request.voice
        )

    def _speak(self, number: int) -> tuple[Path, int]:
        path = self.folder / f"line{number}.wav"
        subprocess.run(["espeak-ng", "-v", "es", "-w", str(path), SENTENCES[number]], check=True)
        with wave.open(str(path)) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
        spoken = samples[loud[0] : loud[-1]]
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(spoken.tobytes())
        return path, round(len(spoken) * 1000 / rate)


class MixAlteredByHand(MixerServicer):
    """The real mixer, whose mix is exchanged for another one before the mux; the voice stem stays as it was."""

    def __init__(self, use_cases: UseCases, alter: Callable[[pb.MixRequest], None]) -> None:
        super().__init__(use_cases, limit(2, 8), limit(2, 8))
        self.alter = alter

    async def Mix(self, request: pb.MixRequest, ctx: Any) -> AsyncIterator[pb.MixResponse]:
        other = pb.MixRequest()
        other.CopyFrom(request)
        self.alter(other)
        mixed, altered = [await self._last(one, ctx) for one in (request, other)]
        mixed.result.audio.CopyFrom(altered.result.audio)
        yield mixed

    async def _last(self, request: pb.MixRequest, ctx: Any) -> pb.MixResponse:
        async for event in super().Mix(request, ctx):
            last = event
        return last


def three_faults(request: pb.MixRequest) -> None:
    """Removes a line, delays another by 400 ms, and moves a third one into the line before it."""
    request.clips[LATE].start_ms += 400
    request.clips[OVERLAPPING].start_ms -= 1_000
    del request.clips[REMOVED]


def film(folder: Path, seconds: float) -> Path:
    """A small video with soft noise for its sound, with a tone where the original speaks."""
    path = folder / "film.mp4"
    speech = "0.2*sin(2*PI*180*t)*lt(mod(t\\,2)\\,1.45)"
    picture = ["-f", "lavfi", "-i", f"testsrc2=s=64x36:r=25:d={seconds}"]
    sound = ["-f", "lavfi", "-i", f"aevalsrc='{speech}+0.004*(random(0)-0.5)':s=48000:d={seconds}"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *picture, *sound, *codecs, str(path)], check=True)
    return path


async def dubbed(
    deployment, storage: FileStorage, folder: Path, alter: Callable[[pb.MixRequest], None]
) -> dict[str, Any]:
    """The Spanish part of the report of a job whose mix was altered."""
    script = Script(segments=len(SENTENCES), separates=False)
    source = await storage.put_file("users/u/videos/v/film.mp4", film(folder, script.duration_ms / 1000), "video/mp4")
    mixing = MixAlteredByHand(UseCases.over(storage, Ffmpeg()), alter)
    async with instant_stages(script, synthesis=SpanishSpeech(script, storage, folder), mixing=mixing) as stages:
        running = replace(deployment, stages=stages)
        job_id = await running.submit(source=source, duration_ms=script.duration_ms, target_languages=("es",))
        async with running.worker():
            job = await running.ended(job_id, timeout=240)
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    key = f"{job_prefix(job.user_id, job.id)}/artifacts/report.job.report.json"
    (language,) = json.loads(await storage.get_bytes(key))["languages"]
    return dict(language)


async def test_a_line_removed_one_late_and_one_over_another_are_each_named(deployment, file_storage, tmp_path) -> None:
    part = await dubbed(deployment, file_storage, tmp_path, three_faults)
    flags = {row["index"]: row["measured"]["flags"] for row in part["segments"] if row["measured"]["flags"]}
    assert flags[REMOVED] == ["missing"]
    assert flags[LATE] == ["late"]
    assert flags[OVERLAPPED] == ["overlap"]
    assert flags[OVERLAPPING] == ["early", "overlap"]
    assert set(flags) == {REMOVED, LATE, OVERLAPPED, OVERLAPPING}
    late = part["segments"][LATE]
    assert late["measured"]["shift_ms"] == pytest.approx(400, abs=2)
    assert late["measured"]["onset_ms"] - late["planned"]["start_ms"] == pytest.approx(400, abs=20)
    measured, planned = part["metrics"]["measured"], part["metrics"]["planned"]
    assert (measured["dropped"], planned["silent"], measured["shift_max_ms"]) == (1, 0, pytest.approx(1000, abs=2))
    assert measured["coverage"] == pytest.approx(1 - 1 / len(SENTENCES), abs=0.01)
    assert measured["overlap_ms"] > 200
    assert planned["overlap_ms"] == 0


async def test_a_mix_that_was_left_alone_has_no_flag(deployment, file_storage, tmp_path) -> None:
    part = await dubbed(deployment, file_storage, tmp_path, lambda request: None)
    assert [row["measured"]["flags"] for row in part["segments"]] == [[]] * len(SENTENCES)
    measured = part["metrics"]["measured"]
    assert (measured["dropped"], measured["coverage"], measured["overlap_ms"], measured["cut"]) == (0, 1.0, 0, 0)
    assert measured["residue_db"] == pytest.approx(deployment.settings.duck_gain_db, abs=3)
    assert abs(measured["length_delta_ms"]) <= 40
    assert part["metrics"]["captions"]["cues"] == len(SENTENCES)
