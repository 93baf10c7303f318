"""The graph of a dubbing job as data: the tasks that give its handles, and which task follows from which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from onevoice_jobs.records import JobRecord

from ..clients.asr import TRANSCRIPTION, DetectedSpeech
from ..policy.line import EngineUse, Source, Speech, Translation, join
from ..policy.voices import wanted_voice
from ..settings import OrchestratorSettings
from ..steps import assembly, ending, language, plausible, source
from ..steps.context import NO_EDITS, Edits, JobContext
from ..steps.graph import Handle, Step, item
from ..steps.task import Task, bind
from . import handles
from .hearing import hearing
from .job_end import job_end
from .translations import translations


def scope_end(scope: str) -> str:
    """The key of the step that ends a language."""
    return handles.done(scope).key


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
        """The tasks up to the list of engines, by which the rest is made."""
        job = self.job
        yield source.Probe(gives=handles.PROBE, source=job.source)
        yield source.Extract(gives=handles.EXTRACT, source=job.source, duration_ms=job.duration_ms)
        # Beside the extraction, which leaves a core free; recognition and mixing, for which all waits, do not.
        yield source.Thumbnail(gives=handles.THUMBNAIL, source=job.source, media=handles.PROBE)
        engine, separator = job.options.engines.asr or "", job.options.engines.separation or ""
        yield source.RecognitionEngines(
            gives=handles.ASR_ENGINES,
            run_number=job.resumes,
            engine=engine,
            separator=separator,
            then=self.after_engines,
        )

    def after_engines(self, engines: Mapping[str, list[EngineUse]]) -> Iterator[Task[Any]]:
        """Speech, its language and its speakers; the voice apart from the rest."""
        return hearing(self.job, self.settings.default_source_language, engines, self.after_detection)

    def after_detection(self, speech: DetectedSpeech, *, one_call: bool = False) -> Iterator[Task[Any]]:
        """Recognition by chunk; what follows from all chunks; the end of the job."""
        job, chunks = self.job, len(speech.chunks)
        cuts = tuple(map(handles.cut, range(chunks)))
        for chunk in range(chunks):
            yield from self._recognition(chunk, one_call=one_call)
        yield source.Order(gives=handles.TRANSCRIPT, cuts=cuts, then=partial(self.after_order, chunks))
        yield assembly.SourceCaptions(
            gives=handles.CAPTIONS, name=self._name, language=handles.LANGUAGE, sound=handles.EXTRACT, cuts=cuts
        )
        for target in job.target_languages:
            yield from self._engines(target, chunks)
        yield from job_end(job, self.edits, cuts)

    def _recognition(self, chunk: int, *, one_call: bool) -> Iterator[Task[Any]]:
        yield source.Transcribe(
            gives=handles.transcribe(chunk),
            chunk=chunk,
            sound=handles.EXTRACT,
            speech=handles.DETECT,
            language=handles.LANGUAGE,
            engine=self.job.options.engines.asr or "",
            engines=item(handles.ASR_ENGINES, TRANSCRIPTION),
            speakers=(handles.DIARIZE,) if one_call else (),
        )
        yield source.Cut(
            gives=handles.cut(chunk),
            chunk=chunk,
            transcript=handles.transcribe(chunk),
            speakers=handles.DIARIZE,
            speech=handles.DETECT,
            then=partial(self.after_cut, chunk),
        )
        if not self.job.options.force:
            yield plausible.CheckWords(
                gives=handles.check(chunk),
                chunk=chunk,
                speech=handles.DETECT,
                lines=handles.cut(chunk),
                before=item(handles.check(chunk - 1) if chunk else handles.CHECK_LANGUAGE, plausible.DOUBT),
            )

    def _engines(self, target: str, chunks: int) -> Iterator[Task[Any]]:
        """The engines and voices for a language; its translation follows from its engines."""
        engines, run_number = self.job.options.engines, self.job.resumes
        yield language.TranslationEngines(
            gives=handles.translation_engines(target),
            scope=target,
            run_number=run_number,
            target=target,
            language=handles.LANGUAGE,
            engine=engines.translate or "",
            then=partial(translations, self.job, target, chunks),
        )
        yield language.SpeechEngines(
            gives=handles.speech_engines(target),
            scope=target,
            run_number=run_number,
            target=target,
            engine=engines.tts or "",
        )
        yield language.Recasts(gives=handles.recasts(target), scope=target)
        yield language.Voices(
            gives=handles.voices(target),
            scope=target,
            language=target,
            speakers=handles.DIARIZE,
            engine=engines.tts or "",
            engines=handles.speech_engines(target),
            chosen=self.job.options.voices.get(target, {}),
            recasts=handles.recasts(target),
        )

    def after_cut(self, chunk: int, lines: dict[str, Source]) -> Iterator[Task[Any]]:
        """A chunk goes on to every language while later chunks are still being recognised."""
        for target in self.job.target_languages:
            yield from self._lines(target, chunk, lines)

    def _lines(self, target: str, chunk: int, lines: dict[str, Source]) -> Iterator[Task[Any]]:
        options, texts_of_lines = self.job.options, self._translated(target, chunk)
        if texts := self.edits.texts(target, chunk):
            yield language.ApplyEdits(
                gives=texts_of_lines,
                scope=target,
                target=target,
                lines=handles.cut(chunk),
                translations=handles.translate(target, chunk),
                texts=texts,
            )
        chosen = language.by_speaker(options.voices.get(target, {}))
        spoken = join([lines])
        for before, line, after in zip([None, *spoken], spoken, [*spoken[1:], None], strict=False):
            yield language.Speak(
                gives=handles.speak(target, line.id),
                scope=target,
                target=target,
                translation=item(texts_of_lines, line.id),
                voice=item(handles.voices(target), line.source.speaker),
                engine=options.engines.tts or "",
                engines=handles.speech_engines(target),
                before=handles.neighbour(texts_of_lines, line, before),
                after=handles.neighbour(texts_of_lines, line, after),
                line=line.id,
                start_ms=line.source.start_ms,
                end_ms=line.source.end_ms,
                voices=handles.voices(target),
                recasts=handles.recasts(target),
                wanted=bool(options.engines.tts or wanted_voice(line.source.speaker, target, chosen)),
            )

    def _translated(self, target: str, chunk: int) -> Handle[dict[str, Translation]]:
        """The final texts of a chunk: translated, and edited where the user did so."""
        return handles.edit(target, chunk) if self.edits.texts(target, chunk) else handles.translate(target, chunk)

    def after_order(self, chunks: int, lines: list[str]) -> Iterator[Task[Any]]:
        """The rest of each language, once all of its lines are fixed."""
        for target in self.job.target_languages:
            yield from self._assembly(target, chunks, lines)

    def _assembly(self, target: str, chunks: int, lines: list[str]) -> Iterator[Task[Any]]:
        """The file of a language: lines placed, captions, sound, and both joined with the picture."""
        options = self.job.options
        cuts = tuple(map(handles.cut, range(chunks)))
        translations = tuple(self._translated(target, chunk) for chunk in range(chunks))
        speech = tuple(handles.speak(target, line) for line in lines)
        yield language.Fit(
            gives=handles.fit(target),
            scope=target,
            target=target,
            sound=handles.EXTRACT,
            cuts=cuts,
            translations=translations,
            speech=speech,
        )
        yield assembly.DubCaptions(
            gives=handles.captions(target),
            scope=target,
            target=target,
            name=self._name,
            sound=handles.EXTRACT,
            cuts=cuts,
            translations=translations,
            placements=handles.fit(target),
        )
        yield assembly.MixDub(
            gives=handles.mix(target),
            scope=target,
            target=target,
            sound=handles.EXTRACT,
            separated=handles.SEPARATE,
            cuts=cuts,
            speech=speech,
            placements=handles.fit(target),
            loudness=options.loudness,
            duck_gain_db=self.settings.duck_gain_db if options.duck_gain_db is None else options.duck_gain_db,
            separated_gain_db=self.settings.separated_gain_db,
        )
        yield assembly.Mux(
            gives=handles.mux(target),
            scope=target,
            target=target,
            source=self.job.source,
            media=handles.PROBE,
            language=handles.LANGUAGE,
            sound=handles.EXTRACT,
            mix=handles.mix(target),
            captions=handles.captions(target),
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
        yield assembly.MeasureDub(
            gives=handles.measure(target),
            scope=target,
            sound=handles.EXTRACT,
            separated=handles.SEPARATE,
            speech_regions=handles.DETECT,
            cuts=cuts,
            speech=speech,
            placements=handles.fit(target),
            captions=handles.captions(target),
            mix=handles.mix(target),
            muxed=handles.mux(target),
        )
        yield ending.Finish(
            gives=handles.done(target),
            scope=target,
            target=target,
            name=self._name,
            media=handles.PROBE,
            sound=handles.EXTRACT,
            speech_regions=handles.DETECT,
            speakers=handles.DIARIZE,
            separated=handles.SEPARATE,
            transcripts=tuple(map(handles.transcribe, range(len(cuts)))),
            cuts=cuts,
            translations=translations,
            speech=speech,
            recasts=handles.recasts(target),
            placements=handles.fit(target),
            captions=handles.captions(target),
            muxed=handles.mux(target),
            measurements=handles.measure(target),
            terms=handles.terms(target),
            revision=self.edits.revision(target),
        )
