"""The graph of a dubbing job as data: the handles, the tasks that give them, and which task follows from which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from onevoice_jobs.records import Artifact, JobRecord

from ..clients.asr import DETECTION, DIARIZATION, TRANSCRIPTION, DetectedSpeech, Speakers, Transcript
from ..clients.mixer import Media, Mix, Sound
from ..policy.line import EngineUse, Placement, Source, Speech, Translation, join
from ..settings import OrchestratorSettings
from ..steps import assembly, ending, language, measuring, source
from ..steps.assembly import Captions, Muxed
from ..steps.context import NO_EDITS, Edits, JobContext
from ..steps.ending import LanguageEnd
from ..steps.measuring import Measurements
from ..steps.task import Task, bind
from .graph import Handle, Step, item

PROBE = Handle("probe", Media)
LANGUAGE = Handle("language", str)
EXTRACT = Handle("extract", Sound)
ASR_ENGINES = Handle("engines:asr", dict[str, list[EngineUse]])
DETECT = Handle("detect", DetectedSpeech)
DIARIZE = Handle("diarize", Speakers)
TRANSCRIPT = Handle("transcript", list[str])
CAPTIONS = Handle("captions", Captions)
THUMBNAIL = Handle("thumbnail", list[Artifact])
REPORT = Handle("report", Artifact)
MANIFEST = Handle("manifest", Artifact)
SETTLE = Handle("settle", int)


def _transcribe(chunk: int) -> Handle[Transcript]:
    return Handle(f"transcribe:{chunk}", Transcript)


def _cut(chunk: int) -> Handle[dict[str, Source]]:
    return Handle(f"cut:{chunk}", dict[str, Source])


def _translation_engines(target: str) -> Handle[list[EngineUse]]:
    return Handle(f"engines:translate:{target}", list[EngineUse])


def _speech_engines(target: str) -> Handle[list[EngineUse]]:
    return Handle(f"engines:tts:{target}", list[EngineUse])


def _voices(target: str) -> Handle[dict[str, str]]:
    return Handle(f"voices:{target}", dict[str, str])


def _translate(target: str, chunk: int) -> Handle[dict[str, Translation]]:
    return Handle(f"translate:{target}:{chunk}", dict[str, Translation])


def _edit(target: str, chunk: int) -> Handle[dict[str, Translation]]:
    return Handle(f"edit:{target}:{chunk}", dict[str, Translation])


def _speak(target: str, line: str) -> Handle[Speech]:
    return Handle(f"speak:{target}:{line}", Speech)


def _fit(target: str) -> Handle[dict[str, Placement]]:
    return Handle(f"fit:{target}", dict[str, Placement])


def _captions(target: str) -> Handle[Captions]:
    return Handle(f"captions:{target}", Captions)


def _mix(target: str) -> Handle[Mix]:
    return Handle(f"mix:{target}", Mix)


def _mux(target: str) -> Handle[Muxed]:
    return Handle(f"mux:{target}", Muxed)


def _measure(target: str) -> Handle[Measurements]:
    return Handle(f"measure:{target}", Measurements)


def _done(target: str) -> Handle[LanguageEnd]:
    return Handle(f"done:{target}", LanguageEnd)


def scope_end(scope: str) -> str:
    """The key of the step that ends a language."""
    return _done(scope).key


def dubbing(ctx: JobContext) -> list[Step]:
    """The steps a job begins with; the rest follow from their outputs."""
    return [bind(ctx.tools, task) for task in Dubbing(ctx.job, ctx.settings, ctx.edits).start()]


@dataclass(frozen=True)
class Dubbing:
    """Builds the graph of one job; every method is a pure function of the fields and its arguments."""

    job: JobRecord
    settings: OrchestratorSettings
    edits: Edits = NO_EDITS

    @property
    def _name(self) -> str:
        """The file name of the source without its extension, for the names of the files."""
        return PurePosixPath(self.job.filename).stem or "video"

    def start(self) -> Iterator[Task[Any]]:
        """The tasks up to the regions of speech, by which the rest is cut into chunks."""
        job = self.job
        named, default = job.source_language or job.options.source_language, self.settings.default_source_language
        yield source.Probe(gives=PROBE, source=job.source)
        yield source.Extract(gives=EXTRACT, source=job.source, duration_ms=job.duration_ms)
        yield source.Language(gives=LANGUAGE, media=PROBE, named=named, default=default)
        yield source.RecognitionEngines(
            gives=ASR_ENGINES, run_number=job.resumes, language=LANGUAGE, engine=job.options.engines.asr or ""
        )
        detectors, diarizers = item(ASR_ENGINES, DETECTION), item(ASR_ENGINES, DIARIZATION)
        yield source.Detect(gives=DETECT, sound=EXTRACT, engines=detectors, then=self.after_detection)
        yield source.Diarize(gives=DIARIZE, sound=EXTRACT, speech=DETECT, engines=diarizers)

    def after_detection(self, speech: DetectedSpeech) -> Iterator[Task[Any]]:
        """Recognition by chunk; what follows from all chunks; the end of the job."""
        chunks = len(speech.chunks)
        cuts = tuple(map(_cut, range(chunks)))
        for chunk in range(chunks):
            yield from self._recognition(chunk)
        yield source.Order(gives=TRANSCRIPT, cuts=cuts, then=partial(self.after_order, chunks))
        yield assembly.SourceCaptions(gives=CAPTIONS, name=self._name, language=LANGUAGE, sound=EXTRACT, cuts=cuts)
        for target in self.job.target_languages:
            yield from self._engines(target)
        yield from self._ending(cuts)

    def _recognition(self, chunk: int) -> Iterator[Task[Any]]:
        yield source.Transcribe(
            gives=_transcribe(chunk),
            chunk=chunk,
            sound=EXTRACT,
            speech=DETECT,
            language=LANGUAGE,
            engine=self.job.options.engines.asr or "",
            engines=item(ASR_ENGINES, TRANSCRIPTION),
        )
        yield source.Cut(
            gives=_cut(chunk),
            chunk=chunk,
            transcript=_transcribe(chunk),
            speakers=DIARIZE,
            speech=DETECT,
            then=partial(self.after_cut, chunk),
        )

    def _engines(self, target: str) -> Iterator[Task[Any]]:
        """The engines and voices for a language."""
        engines, run_number = self.job.options.engines, self.job.resumes
        yield language.TranslationEngines(
            gives=_translation_engines(target),
            scope=target,
            run_number=run_number,
            target=target,
            language=LANGUAGE,
            engine=engines.translate or "",
        )
        yield language.SpeechEngines(
            gives=_speech_engines(target),
            scope=target,
            run_number=run_number,
            target=target,
            engine=engines.tts or "",
        )
        yield language.Voices(
            gives=_voices(target),
            scope=target,
            language=target,
            speakers=DIARIZE,
            engine=engines.tts or "",
            engines=_speech_engines(target),
            chosen=self.job.options.voices.get(target, {}),
        )

    def after_cut(self, chunk: int, lines: dict[str, Source]) -> Iterator[Task[Any]]:
        """A chunk goes on to every language while later chunks are still being recognised."""
        for target in self.job.target_languages:
            yield from self._lines(target, chunk, lines)

    def _lines(self, target: str, chunk: int, lines: dict[str, Source]) -> Iterator[Task[Any]]:
        options, translations = self.job.options, self._translated(target, chunk)
        yield language.Translate(
            gives=_translate(target, chunk),
            scope=target,
            target=target,
            lines=_cut(chunk),
            language=LANGUAGE,
            glossary=options.glossary,
            engine=options.engines.translate or "",
            engines=_translation_engines(target),
        )
        if texts := self.edits.texts(target, chunk):
            yield language.ApplyEdits(
                gives=translations,
                scope=target,
                target=target,
                lines=_cut(chunk),
                translations=_translate(target, chunk),
                texts=texts,
            )
        for line in join([lines]):
            yield language.Speak(
                gives=_speak(target, line.id),
                scope=target,
                target=target,
                translation=item(translations, line.id),
                voice=item(_voices(target), line.source.speaker),
                engine=options.engines.tts or "",
                engines=_speech_engines(target),
                line=line.id,
                start_ms=line.source.start_ms,
                end_ms=line.source.end_ms,
            )

    def _translated(self, target: str, chunk: int) -> Handle[dict[str, Translation]]:
        """The final texts of a chunk: translated, and edited where the user did so."""
        return _edit(target, chunk) if self.edits.texts(target, chunk) else _translate(target, chunk)

    def after_order(self, chunks: int, lines: list[str]) -> Iterator[Task[Any]]:
        """The rest of each language, once all of its lines are fixed."""
        # After recognition, which keeps every core busy; the mix of one language does not.
        yield source.Thumbnail(gives=THUMBNAIL, source=self.job.source, media=PROBE)
        for target in self.job.target_languages:
            yield from self._assembly(target, chunks, lines)

    def _assembly(self, target: str, chunks: int, lines: list[str]) -> Iterator[Task[Any]]:
        """The file of a language: lines placed, captions, sound, and both joined with the picture."""
        options = self.job.options
        cuts = tuple(map(_cut, range(chunks)))
        translations = tuple(self._translated(target, chunk) for chunk in range(chunks))
        speech = tuple(_speak(target, line) for line in lines)
        yield language.Fit(
            gives=_fit(target),
            scope=target,
            target=target,
            sound=EXTRACT,
            cuts=cuts,
            translations=translations,
            speech=speech,
        )
        yield assembly.DubCaptions(
            gives=_captions(target),
            scope=target,
            target=target,
            name=self._name,
            sound=EXTRACT,
            cuts=cuts,
            translations=translations,
            placements=_fit(target),
        )
        yield assembly.MixDub(
            gives=_mix(target),
            scope=target,
            target=target,
            sound=EXTRACT,
            cuts=cuts,
            speech=speech,
            placements=_fit(target),
            loudness=options.loudness,
            duck_gain_db=self.settings.duck_gain_db if options.duck_gain_db is None else options.duck_gain_db,
        )
        yield assembly.Mux(
            gives=_mux(target),
            scope=target,
            target=target,
            source=self.job.source,
            media=PROBE,
            language=LANGUAGE,
            sound=EXTRACT,
            mix=_mix(target),
            captions=_captions(target),
            burn_in=options.burn_in_captions,
            keep_original=options.keep_original_audio,
        )
        yield from self._measured_end(target, cuts, translations, speech)

    def _measured_end(
        self,
        target: str,
        cuts: tuple[Handle[dict[str, Source]], ...],
        translations: tuple[Handle[dict[str, Translation]], ...],
        speech: tuple[Handle[Speech], ...],
    ) -> Iterator[Task[Any]]:
        """The measurement of a language's finished file, and the language's end."""
        yield measuring.MeasureDub(
            gives=_measure(target),
            scope=target,
            sound=EXTRACT,
            speech_regions=DETECT,
            cuts=cuts,
            speech=speech,
            placements=_fit(target),
            captions=_captions(target),
            mix=_mix(target),
            muxed=_mux(target),
        )
        yield ending.Finish(
            gives=_done(target),
            scope=target,
            target=target,
            name=self._name,
            media=PROBE,
            sound=EXTRACT,
            speech_regions=DETECT,
            speakers=DIARIZE,
            transcripts=tuple(map(_transcribe, range(len(cuts)))),
            cuts=cuts,
            translations=translations,
            speech=speech,
            placements=_fit(target),
            captions=_captions(target),
            muxed=_mux(target),
            measurements=_measure(target),
            revision=self.edits.revision(target),
        )

    def _ending(self, cuts: tuple[Handle[dict[str, Source]], ...]) -> Iterator[Task[Any]]:
        job, ends = self.job, tuple(map(_done, self.job.target_languages))
        yield ending.Report(
            gives=REPORT,
            job_id=str(job.id),
            media=PROBE,
            language=LANGUAGE,
            speech_regions=DETECT,
            cuts=cuts,
            ends=ends,
        )
        yield ending.Manifest(
            gives=MANIFEST,
            job_id=str(job.id),
            filename=job.filename,
            source=job.source,
            report=REPORT,
            thumbnail=THUMBNAIL,
            captions=CAPTIONS,
            ends=ends,
        )
        yield ending.Settle(
            gives=SETTLE,
            reservation=job.reservation,
            changed_ms=self.edits.changed_ms,
            media=PROBE,
            manifest=MANIFEST,
            ends=ends,
        )
