"""One straightforward process that dubs a clip: the same engines, one call after another.

`python -m bench.serial CLIP LANGUAGE FOLDER` prints the seconds of work, and of processor time, as JSON; the clock
starts with models loaded. The engines are those that the environment names, as the services take them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from onevoice_jobs.records import Word
from onevoice_kit.engines.layers import Limit
from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.storage.base import ObjectRef
from onevoice_kit.storage.file import FileStorage
from onevoice_kit.testing.storage import file_storage
from services.asr.audio_cache import AudioCache
from services.asr.detection import SpeechDetection
from services.asr.engines import pocketsphinx_worker
from services.asr.engines.base import TimeRange, Utterance
from services.asr.engines.registry import (
    detection_engines,
    diarization_engines,
    separation_engines,
    transcription_engines,
)
from services.asr.separation import Separation
from services.asr.settings import AsrSettings
from services.mixer.extraction import Extraction, ExtractionJob, Extractor
from services.mixer.mixing.mixer import Mixer
from services.mixer.mixing.plan import Clip, Loudness, MixJob, Range
from services.mixer.muxing import Muxer, MuxJob, Track
from services.orchestrator.policy.captions import Spoken, make_cues, to_srt
from services.orchestrator.policy.fitting import fit
from services.orchestrator.policy.line import EngineUse, Line, Speech
from services.orchestrator.policy.line import Source as SourceLine
from services.orchestrator.policy.segmentation import Turn, cut_lines
from services.translate.engines.registry import translation_engines
from services.translate.settings import TranslateSettings
from services.translate.translation import Request as TranslateRequest
from services.translate.translation import Segment as Source
from services.translate.translation import Translator
from services.translate.wiring import meaning_check
from services.tts.batching import Batches
from services.tts.engines.registry import synthesis_engines
from services.tts.settings import TtsSettings
from services.tts.synthesis import Request as SpeakRequest
from services.tts.synthesis import Synthesizer

PREFIX = "users/bench/jobs/serial"


class Serial:
    """The engines, and the steps in their order."""

    def __init__(self, storage: FileStorage) -> None:
        self.storage = storage
        self.ffmpeg = Ffmpeg()
        self.detection = SpeechDetection(
            AudioCache(storage), detection_engines(AsrSettings()), chunk_ms=15_000, max_audio_ms=4 * 3_600_000
        )
        asr, translate = AsrSettings(), TranslateSettings()
        self.words, self.speakers = transcription_engines(asr), diarization_engines(asr)
        limit = Limit(1, 100, subject="The benchmark", retry_after_s=1.0)
        self.separation = Separation(storage, separation_engines(asr), limit)
        self.voices = synthesis_engines(TtsSettings())
        self.speech = Synthesizer(storage, self.voices, Batches(limit))
        self.meaning = meaning_check(translate)
        self.translation = Translator(translation_engines(translate), limit, self.meaning)

    async def load(self, language: str) -> None:
        """Loads what the services have loaded before a job comes."""
        if self.in_process:
            pocketsphinx_worker.load()
        else:
            await self.words.warm()
        await self.speakers.warm()
        await self.voices.warm()
        if self.meaning is not None:
            await self.meaning.warm()
        await self.translation.translate(TranslateRequest("en", language, (Source("warm", "hello"),)), lambda _: None)

    @property
    def in_process(self) -> bool:
        """True where recognition is PocketSphinx's, whose engine would start processes."""
        return self.words.names[0] == "pocketsphinx"

    async def dub(self, source: ObjectRef, language: str) -> ObjectRef:
        """The dubbed file."""
        sound = await Extractor(self.storage, self.ffmpeg).extract(ExtractionJob(source, PREFIX))
        stems = await self.separation.separate(sound.programme, PREFIX, "", lambda _: None)
        segments = await self.recognise(sound)
        texts = await self.translate(segments, language)
        spoken = [await self.speech.synthesize(SpeakRequest(text, language, PREFIX)) for text in texts]
        engine = EngineUse("", "", "")
        speeches = [Speech(made.audio, made.natural_ms, made.voice, engine) for made in spoken]
        lines = [Line("0.0", s, speech=speech) for s, speech in zip(segments, speeches, strict=True)]
        placed = [placement for placement in fit(lines, sound.duration_ms) if placement]
        clips = [Clip(speech.audio, p.start_ms, p.speed, 0.0) for speech, p in zip(spoken, placed, strict=True)]
        ducked = [
            Range(min(s.start_ms, p.start_ms), max(s.end_ms, p.end_ms)) for s, p in zip(segments, placed, strict=True)
        ]
        mixed = await Mixer(self.storage, self.ffmpeg).mix(
            MixJob(
                background=sound.programme,
                clips=tuple(clips),
                duration_ms=sound.duration_ms,
                duck_ranges=tuple(ducked),
                duck_gain_db=-6.0 if stems.background else -22.0,
                loudness=Loudness.SOURCE,
                source_loudness_lufs=sound.loudness_lufs,
                output_prefix=PREFIX,
                separated=stems.background,
            )
        )
        cues = make_cues(
            [Spoken(p.start_ms, p.end_ms, t) for p, t in zip(placed, texts, strict=True)], sound.duration_ms
        )
        srt = await self.storage.put_bytes(f"{PREFIX}/captions.srt", to_srt(cues).encode(), "application/x-subrip")
        muxed = await Muxer(self.storage, self.ffmpeg).mux(
            MuxJob(
                source=source,
                tracks=(Track(mixed.audio, language, "Dub"),),
                keep_original_audio=True,
                original_language="en",
                subtitles=(Track(srt, language, "Captions"),),
                burn_in=None,
                duration_ms=sound.duration_ms,
                output_prefix=PREFIX,
            )
        )
        return muxed.media

    async def recognise(self, sound: Extraction) -> list[SourceLine]:
        """All regions by one call of each engine."""
        speech = await self.detection.detect(sound.speech, 0, lambda _: None)
        regions = [region for chunk in speech.chunks for region in chunk]
        async with self.storage.open_local(sound.speech) as audio:
            utterances = await self.transcribe(audio, regions)
            turns = (await self.speakers.get(self.speakers.names[0]).diarize(audio, regions, 0)).turns
        spoken = [Turn(turn.range.start_ms, turn.range.end_ms, turn.speaker) for turn in turns]
        return cut_lines(utterances, spoken, sound.duration_ms)

    async def transcribe(self, audio: Path, regions: Sequence[TimeRange]) -> list[list[Word]]:
        """The words of each region."""
        found: list[Utterance] = []
        if self.in_process:
            for region in regions:
                heard = TimeRange(max(0, region.start_ms - 100), region.end_ms + 100)
                found.append(pocketsphinx_worker.recognise(pocketsphinx_worker.Task(audio, region, heard)))
        else:
            engine = self.words.get(self.words.names[0])
            async with aclosing(engine.transcribe(audio, regions, "en")) as each:
                found += [utterance async for utterance in each]
        return [[Word(w.text, w.start_ms, w.end_ms, w.confidence) for w in one.words] for one in found]

    async def translate(self, segments: list[SourceLine], language: str) -> list[str]:
        """All lines in one call."""
        sources = tuple(Source(str(n), segment.text) for n, segment in enumerate(segments))
        result = await self.translation.translate(TranslateRequest("en", language, sources), lambda _: None)
        return [segment.text for segment in result.segments]


async def main() -> None:
    """Loads, then works against the clock."""
    clip, language, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    shutil.rmtree(folder, ignore_errors=True)
    storage = file_storage(folder)
    source = await storage.put_file("users/bench/videos/v/original.mp4", clip, "video/mp4")
    serial = Serial(storage)
    await serial.load(language)
    started, before = time.perf_counter(), os.times()
    dubbed = await serial.dub(source, language)
    seconds, cpu_s = time.perf_counter() - started, sum(os.times()[:4]) - sum(before[:4])
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "bytes": dubbed.size}))


if __name__ == "__main__":
    asyncio.run(main())
