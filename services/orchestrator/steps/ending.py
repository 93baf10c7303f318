"""Steps that end a language and the job: report, manifest, credits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, ClassVar

from onevoice_jobs import costs
from onevoice_jobs.costs import Cost
from onevoice_jobs.records import Artifact, CompletedLanguage, JobError, Published
from onevoice_kit.storage.base import ObjectRef

from ..clients.asr import DetectedSpeech, Separated, Speakers, Transcript
from ..clients.mixer import Media, Sound
from ..policy import fallbacks, quality, terminology
from ..policy.costs import of_lines, of_terms
from ..policy.fallbacks import Fallback
from ..policy.line import EngineUse, Line, Placement, Source, Speech, Translation, join
from ..policy.terminology import Terminology
from ..policy.voices import Recast
from .assembly import Captions, Measurements, Muxed
from .context import JobContext, Tools
from .graph import Given, Handle, Json, Result, dump, load
from .task import Task

_SUFFIX = {"video/mp4": "mp4", "audio/mp4": "m4a", "video/x-matroska": "mkv", "video/webm": "webm"}


@dataclass(frozen=True, slots=True)
class LanguageEnd:
    """The end of a language, whether completed or failed."""

    section: dict[str, Any]
    """Its part of the report."""
    files: tuple[Artifact, ...]
    costs: tuple[Cost, ...] = ()
    """Of its translation and synthesis."""

    @property
    def completed(self) -> bool:
        """True unless the language failed."""
        return bool(self.section["status"] == "completed")


@dataclass(frozen=True, kw_only=True)
class Finish(Task[LanguageEnd]):
    """Ends a language well: gathers its files and its part of the report."""

    stage: ClassVar = "store"
    target: str
    name: str
    """The file name of the source without its extension."""
    media: Handle[Media]
    sound: Handle[Sound]
    speech_regions: Handle[DetectedSpeech]
    speakers: Handle[Speakers]
    separated: Handle[Separated]
    transcripts: tuple[Handle[Transcript], ...]
    cuts: tuple[Handle[dict[str, Source]], ...]
    translations: tuple[Handle[dict[str, Translation]], ...]
    speech: tuple[Handle[Speech], ...]
    recasts: Handle[list[Recast]]
    placements: Handle[dict[str, Placement]]
    captions: Handle[Captions]
    muxed: Handle[Muxed]
    measurements: Handle[Measurements]
    terms: Handle[Terminology]
    revision: int | None
    """Not read: the last one in which the language was edited. An edit that changes nothing ends the language again."""

    async def run(self, tools: Tools, given: Given) -> Result[LanguageEnd]:
        """Returns the end; it is published with the dubbed file."""
        media = given(self.muxed).media
        suffix = _SUFFIX.get(media.content_type, "mp4")
        video = Artifact("video", self.target, f"{self.name}.{self.target}.{suffix}", media)
        lines = self._lines(given)
        spent = costs.added([*of_terms(given(self.terms)), *of_lines(lines)])
        section = self._section(given, lines) | {"cost": costs.report(spent)}
        end = LanguageEnd(section, (video, *given(self.captions).files), tuple(spent))
        tools.progress.ended(self.target)
        completed = CompletedLanguage(self.target, end.section["metrics"])
        return Result(end, Published(artifacts=(video,), completed=(completed,)))

    def _lines(self, given: Given) -> list[Line]:
        facts = given.each(self.cuts), given.each(self.translations), given.each(self.speech)
        return join(*facts, given(self.placements), given(self.measurements).dub.lines)

    def _section(self, given: Given, lines: Sequence[Line]) -> dict[str, Any]:
        found = given(self.measurements)
        sound = quality.Sound(
            found.dub.loudness_lufs,
            given(self.sound).loudness_lufs,
            found.dub.true_peak_dbtp,
            given(self.muxed).duration_ms - given(self.media).duration_ms,
            found.dub.residue_db,
        )
        return {
            "language": self.target,
            "status": "completed",
            "segments": [quality.report_line(index, line) for index, line in enumerate(lines)],
            "metrics": quality.metrics(lines, given(self.speech_regions).regions, sound, found.captions),
            "lineage": self._lineage(given, lines),
            "terminology": terminology.report(given(self.terms)),
            "fallbacks": fallbacks.report(self._fallbacks(given, lines)),
        }

    def _fallbacks(self, given: Given, lines: Sequence[Line]) -> list[Fallback]:
        recasts = given(self.recasts)
        translations = [(line.translation.engine, line.translation.after) for line in lines if line.translation]
        return [*fallbacks.of_results("translate", translations), *fallbacks.of_recasts(lines, recasts)]

    def _lineage(self, given: Given, lines: Iterable[Line]) -> dict[str, Any]:
        """Engine, model and version by stage; a stage that used several engines lists them all."""
        used: dict[str, list[EngineUse]] = {
            "detection": [given(self.speech_regions).detector],
            "asr": [transcript.engine for transcript in given.each(self.transcripts)],
            "diarization": [given(self.speakers).engine],
            "separation": [given(self.separated).engine],
            "translate": [line.translation.engine for line in lines if line.translation],
            "tts": [line.speech.engine for line in lines if line.speech and line.speech.engine],
        }
        distinct = {stage: [asdict(engine) for engine in dict.fromkeys(engines)] for stage, engines in used.items()}
        return {stage: engines[0] if len(engines) == 1 else engines for stage, engines in distinct.items()}


def failed_language(language: str, error: JobError) -> Json:
    """The end of a language that failed, as its checkpoint."""
    section: dict[str, Any] = {
        "language": language,
        "status": "failed",
        "error": asdict(error),
        "segments": [],
        "metrics": {},
        "lineage": {},
        "terminology": None,
        "fallbacks": [],
        "cost": [],
    }
    return dump(LanguageEnd, LanguageEnd(section, ()))


async def language_failed(ctx: JobContext, failed: Json) -> None:
    """Ends a language as its checkpoint states; a language that has ended stays as it ended."""
    section = load(LanguageEnd, failed).section
    await ctx.store.language_failed(section["language"], JobError(**section["error"]))
    ctx.progress.ended(section["language"])


@dataclass(frozen=True, kw_only=True)
class Report(Task[Artifact]):
    """Makes the report."""

    stage: ClassVar = "store"
    job_id: str
    media: Handle[Media]
    language: Handle[str]
    speech_regions: Handle[DetectedSpeech]
    separated: Handle[Separated]
    speakers: Handle[Speakers]
    transcripts: tuple[Handle[Transcript], ...]
    cuts: tuple[Handle[dict[str, Source]], ...]
    ends: tuple[Handle[LanguageEnd], ...]

    async def run(self, tools: Tools, given: Given) -> Artifact:
        """Returns the file; the manifest publishes it."""
        transcripts = given.each(self.transcripts)
        heard = _of_recognition(given(self.speakers), transcripts)
        replaced = fallbacks.of_results("asr", [(transcript.engine, transcript.after) for transcript in transcripts])
        unheard = quality.unheard(given(self.speech_regions).regions, join(given.each(self.cuts)))
        source = {
            "language": given(self.language),
            "duration_ms": given(self.media).duration_ms,
            "unheard": [{"start_ms": start, "end_ms": end} for start, end in unheard],
            "separation": {"engine": given(self.separated).engine.name, "reason": given(self.separated).reason},
            "cost": costs.report(heard),
            "fallbacks": fallbacks.report(replaced),
        }
        sections = [end.section for end in given.each(self.ends)]
        spent = [*heard, *(cost for end in given.each(self.ends) for cost in end.costs)]
        text = _json(
            {"job_id": self.job_id, "source": source, "languages": sections, "cost_usd": costs.total_usd(spent)}
        )
        return await tools.save("report", None, "report.json", text, "application/json")


def _of_recognition(speakers: Speakers, transcripts: Iterable[Transcript]) -> list[Cost]:
    """The cost of the words; where they were found with the speakers, that of this one call."""
    spent = [Cost("asr", transcript.engine.name, transcript.cost_microusd) for transcript in transcripts]
    if speakers.words:
        spent.append(Cost("asr", speakers.engine.name, speakers.cost_microusd))
    return costs.added(spent)


@dataclass(frozen=True, kw_only=True)
class Manifest(Task[Artifact]):
    """Makes the manifest: every file of the job by name, size and checksum."""

    stage: ClassVar = "store"
    job_id: str
    filename: str
    source: ObjectRef
    report: Handle[Artifact]
    thumbnail: Handle[list[Artifact]]
    captions: Handle[Captions]
    ends: tuple[Handle[LanguageEnd], ...]

    async def run(self, tools: Tools, given: Given) -> Result[Artifact]:
        """Returns the file; it is published with the other files of the whole job."""
        own = (given(self.report), *given(self.thumbnail))
        by_language = chain.from_iterable(end.files for end in given.each(self.ends))
        text = {
            "job_id": self.job_id,
            "source": {"filename": self.filename, "sha256": self.source.sha256, "size": self.source.size},
            "files": [_entry(artifact) for artifact in (*own, *given(self.captions).files, *by_language)],
        }
        made = await tools.save("manifest", None, "manifest.json", _json(text), "application/json")
        return Result(made, Published(artifacts=(*own, made), payment=True))


def _entry(artifact: Artifact) -> Mapping[str, Any]:
    ref = artifact.ref
    return {
        "kind": artifact.kind,
        "language": artifact.language,
        "filename": artifact.filename,
        "sha256": ref.sha256,
        "size": ref.size,
        "content_type": ref.content_type,
    }


@dataclass(frozen=True, kw_only=True)
class Settle(Task[int]):
    """Settles the credits: for each completed language the measured length, or that of its lines edited for the run."""

    stage: ClassVar = "billing"
    reservation: str
    changed_ms: Mapping[str, int] | None
    """By language: milliseconds of the edited lines that the run is paid for; None: the whole source."""
    media: Handle[Media]
    manifest: Handle[Artifact]
    """Not read: nothing is charged before every file is there."""
    ends: tuple[Handle[LanguageEnd], ...]

    async def run(self, tools: Tools, given: Given) -> Result[int]:
        """Returns the credits spent; a repeat returns those of the first time. 0 where no language is completed."""
        completed = [end.section["language"] for end in given.each(self.ends) if end.completed]
        if not completed:
            return Result(0)  # the job fails, and its end releases the credits
        duration_ms, languages = given(self.media).duration_ms, len(completed)
        if self.changed_ms is not None:
            duration_ms, languages = sum(self.changed_ms.get(language, 0) for language in completed), 1
        amount = await tools.clients.billing.price(duration_ms, languages) if duration_ms else 0
        return Result(await tools.clients.billing.settle(self.reservation, amount), Published(payment=True))


def _json(value: Json) -> str:
    # Sorted: what comes back from a checkpoint has lost the order of its keys, and a resumed job makes the same file.
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
