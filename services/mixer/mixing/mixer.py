"""The use case Mix: prepares the clips, solves the gains, mixes and encodes, and checks what came out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from onevoice_kit.media_exec import Command, Ffmpeg, Input, MediaFile, Output, Running, Workspace, work_beside
from onevoice_kit.storage.base import ObjectRef, Storage
from services.mixer.mixing.blocks import RATE, Reader, blocks, read_block
from services.mixer.mixing.clips import ClipPreparer
from services.mixer.mixing.ducking import Ducker, Fader
from services.mixer.mixing.levels import LevelMeter, Levels
from services.mixer.mixing.passes import Gains, Measured, Outputs, Parts, measure, render
from services.mixer.mixing.plan import Loudness, Mix, MixJob, check
from services.mixer.mixing.truepeak import PeakMeter
from services.mixer.mixing.under import Ducked, Separated, Under, ducked_levels, separated_levels
from services.mixer.mixing.voice import Placed, Voice
from services.mixer.progress import Report, part, silent
from services.mixer.results import Results, Work, content

T = TypeVar("T")

CEILING_DBTP = -1.5
"""The limiter's ceiling: AAC may add half a decibel to what it is given."""
PROMISED_DBTP = -1.0
"""True peak that the encoded mix stays under."""
SAFE_DBTP = -3.0
"""Under this AAC does not bring a mix over the promise, except for square waves and the like."""
NEAR_LU = 0.3
_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Session:
    """One mix under way."""

    workspace: Workspace
    background: MediaFile
    separated: MediaFile | None
    scratch: int
    placed: list[Placed]
    job: MixJob

    @property
    def total(self) -> int:
        """Length of the mix, samples."""
        return self.job.duration_ms * RATE // 1000

    @property
    def sounds(self) -> list[MediaFile]:
        """The files whose sound lies under the dub."""
        return [self.background, *([self.separated] if self.separated else [])]

    def under(self, pipes: Sequence[Reader]) -> Under:
        """The sound under the dub, from the start; `pipes` are the decoded `sounds`."""
        job = self.job
        if len(pipes) == 1:
            return Ducked(pipes[0], Ducker(job.duck_ranges, job.duck_gain_db))
        return Separated(pipes[0], pipes[1], Fader(job.duck_ranges), job.duck_gain_db)

    def voice(self) -> Voice:
        """The voice, from the start."""
        return Voice(self.scratch, self.placed)


@dataclass(frozen=True, slots=True)
class _Rendered:
    """The files that a rendering writes."""

    mix: MediaFile
    voice: MediaFile


class Mixer:
    """
    Mixes in the memory that a block of two seconds needs, whatever the length and the number of clips; for a moment
    before it, levels take 10 MB for each hour.
    """

    def __init__(self, storage: Storage, ffmpeg: Ffmpeg) -> None:
        """`ffmpeg` carries the limits."""
        self._storage = storage
        self._results = Results(storage)
        self._ffmpeg = ffmpeg

    async def mix(self, job: MixJob, report: Report = silent) -> Mix:
        """Raises `InvalidInput` with a reason of `check`, of `ClipPreparer.prepare`, or of bad media."""
        check(job)
        work = Work.of(job.output_prefix, "mix", _parameters(job))
        if (known := await self._results.find(work)) is not None:
            audio, voice = ObjectRef(**known.pop("audio")), ObjectRef(**known.pop("voice"))
            return Mix(audio=audio, voice=voice, placed_ms=tuple(known.pop("placed_ms")), **known)
        async with self._session(job, part(report, 0.0, 0.2)) as session:
            parts = await self._measure(session, part(report, 0.2, 0.4))
            rendered, gains, measured = await self._produce(session, parts, part(report, 0.4, 0.97))
            mix = Mix(
                audio=await self._results.put(work.key("m4a"), rendered.mix.path, "audio/mp4"),
                voice=await self._results.put(work.key("wav", "voice"), rendered.voice.path, "audio/wav"),
                loudness_lufs=measured.loudness_lufs,
                true_peak_dbtp=measured.true_peak_dbtp,
                voice_gain_db=gains.voice_db,
                duration_ms=job.duration_ms,
                placed_ms=tuple(round(clip.length * 1000 / RATE) for clip in session.placed),
            )
        await self._results.keep(work, {name: getattr(mix, name) for name in Mix.__slots__})
        return mix

    @asynccontextmanager
    async def _session(self, job: MixJob, report: Report) -> AsyncIterator[_Session]:
        total = job.duration_ms * RATE // 1000
        async with AsyncExitStack() as stack:
            path = await stack.enter_async_context(self._storage.open_local(job.background))
            other = await stack.enter_async_context(self._storage.open_local(job.separated)) if job.separated else None
            workspace = await stack.enter_async_context(self._ffmpeg.workspace())
            scratch = os.open(workspace.new("f32").path, os.O_RDWR | os.O_CREAT)
            try:
                preparer = ClipPreparer(self._storage, self._ffmpeg, workspace, scratch, total)
                placed = await preparer.prepare(job.clips, report)
                separated = workspace.link(other) if other else None
                yield _Session(workspace, workspace.link(path), separated, scratch, placed, job)
            finally:
                os.close(scratch)

    async def _measure(self, session: _Session, report: Report) -> Parts:
        job, levels = session.job, []
        refs = [job.background, *([job.separated] if job.separated else [])]
        for place, (ref, file) in enumerate(zip(refs, session.sounds, strict=True)):
            share = part(report, place / len(refs), (place + 1) / len(refs))
            levels.append(await self._levels(session, ref, file, share))
        return await asyncio.to_thread(_parts, session, levels)

    async def _levels(self, session: _Session, ref: ObjectRef, file: MediaFile, report: Report) -> Levels:
        """The levels of a sound: those that its extraction or another mix has left, else measured now."""
        prefix = session.job.output_prefix
        if (packed := await self._results.levels(prefix, ref)) is not None:
            return Levels.unpack(packed)
        async with self._decode(session, file) as decoder:
            levels = await _beside([decoder], lambda: _metered(decoder, session.total, report))
        await self._results.keep_levels(prefix, ref, levels.pack())
        return levels

    async def _produce(self, session: _Session, parts: Parts, report: Report) -> tuple[_Rendered, Gains, Measured]:
        """
        Renders until the result keeps its promises. AAC moves peaks, so a mix that comes near the ceiling is decoded
        and measured, and rendered again under a lower ceiling where that is too high.
        """
        gains = await self._aim(session, parts)
        for _ in range(_TRIES):
            rendered = _Rendered(session.workspace.new("m4a"), session.workspace.new("wav"))
            measured = await self._encode(session, gains, rendered, report)
            if measured.true_peak_dbtp <= SAFE_DBTP:
                break
            measured.true_peak_dbtp = await self._encoded_peak(session, rendered.mix)
            if measured.true_peak_dbtp <= PROMISED_DBTP:
                break
            lower = gains.ceiling_dbtp - (measured.true_peak_dbtp - PROMISED_DBTP) - 0.1
            gains = replace(gains, ceiling_dbtp=lower)
        return rendered, gains, measured

    async def _aim(self, session: _Session, parts: Parts) -> Gains:
        """Gains that give the loudness asked for. Where the limiter will take some of it, tries without encoding."""
        job = session.job
        voice_db = parts.solve(job.source_loudness_lufs) if job.source_loudness_lufs else 0.0
        if job.loudness is Loudness.SOURCE:
            return Gains(voice_db, 0.0, CEILING_DBTP)
        target = float(job.loudness.value)
        loudness = parts.loudness(10 ** (voice_db / 20))
        gains = Gains(voice_db, max(-40.0, min(40.0, target - loudness)), CEILING_DBTP)
        for _ in range(_TRIES if _may_limit(parts, gains) else 0):
            missing = target - (await self._rehearse(session, gains)).loudness_lufs
            if abs(missing) <= NEAR_LU:
                break
            gains = replace(gains, common_db=gains.common_db + missing)
        return gains

    async def _rehearse(self, session: _Session, gains: Gains) -> Measured:
        async with self._decoders(session) as decoders:
            return await _beside(
                decoders,
                lambda: render(session.under(decoders), session.voice(), session.total, gains, Outputs(), silent),
            )

    async def _encode(self, session: _Session, gains: Gains, rendered: _Rendered, report: Report) -> Measured:
        raw = Input("pipe", ("-ar", str(RATE), "-ac", "2"), own="f32le")
        command = Command((raw,), (Output(rendered.mix, _AAC),))
        async with (
            self._decoders(session) as decoders,
            self._ffmpeg.stream(command, session.workspace) as encoder,
        ):
            out = Outputs(encoder.stdin, rendered.voice.path)
            measured = await _beside(
                decoders,
                lambda: render(session.under(decoders), session.voice(), session.total, gains, out, report),
                encoder,
            )
            await encoder.wait()
            return measured

    async def _encoded_peak(self, session: _Session, encoded: MediaFile) -> float:
        """The true peak of the encoded mix, dBTP; its loudness is the one before the encoding."""
        async with self._decode(session, encoded) as decoder:
            return await _beside([decoder], lambda: _peak(decoder, session.total))

    @asynccontextmanager
    async def _decoders(self, session: _Session) -> AsyncIterator[list[Running]]:
        """Decoders of all that lies under the dub."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self._decode(session, file)) for file in session.sounds]

    @asynccontextmanager
    async def _decode(self, session: _Session, file: MediaFile) -> AsyncIterator[Running]:
        seconds = f"{session.job.duration_ms / 1000:.3f}"
        options = ("-map", "0:a:0", "-ac", "2", "-ar", str(RATE), "-c:a", "pcm_f32le", "-f", "f32le")
        command = Command((Input(file, ("-t", seconds)),), (Output("pipe", options),))
        async with self._ffmpeg.stream(command, session.workspace) as decoder:
            yield decoder


_AAC = ("-c:a", "aac", "-aac_coder", "fast", "-q:a", "2.5", "-cutoff", "18000", "-movflags", "+faststart", "-f", "mp4")
"""
Of constant quality: no frame is encoded again and again to meet a rate; about 170 kbit/s (ADR 031). The bandwidth is
that of 192 kbit/s: without it notes up to 24 kHz are encoded. ffmpeg's manual on the coder `fast`: better and much
faster than `twoloop` at higher bit rates.
"""


async def _beside(decoders: Sequence[Running], work: Callable[[], T], *others: Running) -> T:
    """Runs `work` on the decoders' samples in a thread; raises what a decoder ended with."""
    result = await work_beside([*decoders, *others], lambda: _drained(decoders, work))
    for decoder in decoders:
        await decoder.wait()
    return result


def _drained(pipes: Sequence[Reader], work: Callable[[], T]) -> T:
    """The work, after which the rest of the pipes is read: a decoder that is not read from never ends."""
    result = work()
    for pipe in pipes:
        while pipe.read(1 << 16):
            pass
    return result


def _parts(session: _Session, levels: Sequence[Levels]) -> Parts:
    """The parts of the mix; `levels` are those of the session's sounds."""
    job, total = session.job, session.total
    if len(levels) == 1:
        under = ducked_levels(levels[0], Ducker(job.duck_ranges, job.duck_gain_db), total)
    else:
        under = separated_levels(levels[0], levels[1], Fader(job.duck_ranges), job.duck_gain_db, total)
    return measure(under, session.placed, total)


def _may_limit(parts: Parts, gains: Gains) -> bool:
    """True where peaks can come near the ceiling; `parts.peak` bounds them with the voice as it is."""
    voice = max(0.0, gains.voice_db)
    return parts.peak * 10 ** ((voice + gains.common_db + 3.5) / 20) > 10 ** (gains.ceiling_dbtp / 20)


def _metered(pipe: Reader, total: int, report: Report) -> Levels:
    meter = LevelMeter(channels=2)
    for begin, end in blocks(total):
        meter.add(read_block(pipe, end - begin))
        report(end / total)
    return meter.levels()


def _peak(pipe: Reader, total: int) -> float:
    peak = PeakMeter()
    for begin, end in blocks(total):
        peak.add(read_block(pipe, end - begin))
    return peak.dbtp


def _parameters(job: MixJob) -> dict[str, object]:
    """Everything that decides the result, inputs by their content."""
    return {
        "background": content(job.background),
        "clips": [[content(c.audio), c.start_ms, c.speed, c.gain_db] for c in job.clips],
        "duration": job.duration_ms,
        "duck": [asdict(part) for part in job.duck_ranges],
        "duck_gain": job.duck_gain_db,
        "loudness": job.loudness.value,
        "source_loudness": job.source_loudness_lufs,
        **({"separated": content(job.separated)} if job.separated else {}),
    }
