"""One straightforward process that dubs a clip: the same engines, one call after another, nothing in parallel.

`python -m bench.serial CLIP LANGUAGE FOLDER` prints the seconds of work, and of processor time, as JSON; the clock
starts with models loaded.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
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
from services.asr.engines.base import TimeRange
from services.asr.engines.registry import detection_engines
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
        limit = Limit(1, 100, subject="The benchmark", retry_after_s=1.0)
        self.speech = Synthesizer(storage, synthesis_engines(TtsSettings()), limit)
        self.translation = Translator(translation_engines(TranslateSettings()), limit)

    async def dub(self, source: ObjectRef, language: str) -> ObjectRef:
        """The dubbed file."""
        sound = await Extractor(self.storage, self.ffmpeg).extract(ExtractionJob(source, PREFIX))
        segments = await self.recognise(sound)
        texts = await self.translate(segments, language)
        spoken = [await self.speech.synthesize(SpeakRequest(text, language, PREFIX)) for text in texts]
        engine = EngineUse("espeak", "", "")
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
                duck_gain_db=-22.0,
                loudness=Loudness.SOURCE,
                source_loudness_lufs=sound.loudness_lufs,
                output_prefix=PREFIX,
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
        """Region by region in this process."""
        speech = await self.detection.detect(sound.speech, 0, lambda _: None)
        utterances = []
        async with self.storage.open_local(sound.speech) as audio:
            for region in (region for chunk in speech.chunks for region in chunk):
                heard = TimeRange(max(0, region.start_ms - 100), region.end_ms + 100)
                utterance = pocketsphinx_worker.recognise(pocketsphinx_worker.Task(audio, region, heard))
                utterances.append([Word(w.text, w.start_ms, w.end_ms, w.confidence) for w in utterance.words])
        return cut_lines(utterances, [Turn(0, sound.duration_ms, "speaker_1")], sound.duration_ms)

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
    pocketsphinx_worker.load()
    await serial.translation.translate(TranslateRequest("en", language, (Source("warm", "hello"),)), lambda _: None)
    started, before = time.perf_counter(), os.times()
    dubbed = await serial.dub(source, language)
    seconds, cpu_s = time.perf_counter() - started, sum(os.times()[:4]) - sum(before[:4])
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "bytes": dubbed.size}))


if __name__ == "__main__":
    asyncio.run(main())
