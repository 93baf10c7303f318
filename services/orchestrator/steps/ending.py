"""Steps that end a language and the job: report, manifest, credits."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from typing import Any

from onevoice_jobs.records import Artifact, CompletedLanguage, JobError, Shown
from onevoice_kit.storage.base import ObjectRef

from ..codec import dump, load
from ..pipeline.graph import Inputs, Json, Result
from ..policy.quality import Sound as MeasuredSound
from ..policy.quality import measure
from ..stages.asr import Speakers, Speech, Transcript
from ..stages.mixer import Media, Mix, Sound
from ..stages.translate import Translations
from .assembly import FittedLine, Muxed
from .context import JobContext
from .language import SpokenLine

_SUFFIX = {"video/mp4": "mp4", "audio/mp4": "m4a", "video/x-matroska": "mkv", "video/webm": "webm"}


async def done(ctx: JobContext, language: str, chunks: int, inputs: Inputs) -> Result:
    """→ the language's part of the report, and its `Artifact`s as `files`; the language is completed."""
    muxed = load(Muxed, inputs[f"mux:{language}"])
    suffix = _SUFFIX.get(muxed.media.content_type, "mp4")
    video = Artifact("video", language, f"{ctx.name}.{language}.{suffix}", muxed.media)
    section = _section(language, chunks, inputs)
    ctx.progress.ended(language)
    shown = Shown(artifacts=(video,), completed=(CompletedLanguage(language, section["metrics"]),))
    files = [dump(Artifact, video), *inputs[f"captions:{language}"]]
    return Result({"section": section, "files": files}, shown)


def _section(language: str, chunks: int, inputs: Inputs) -> dict[str, Any]:
    fitted = [item.line for item in load(list[FittedLine], inputs[f"fit:{language}"])]
    mixed, sound = load(Mix, inputs[f"mix:{language}"]), load(Sound, inputs["extract"])
    length = load(Muxed, inputs[f"mux:{language}"]).duration_ms
    delta = length - load(Media, inputs["probe"]).duration_ms
    measured = MeasuredSound(mixed.loudness_lufs, sound.loudness_lufs, mixed.true_peak_dbtp, delta)
    return {
        "language": language,
        "status": "completed",
        "segments": [asdict(line) for line in fitted],
        "metrics": asdict(measure(fitted, measured)),
        "lineage": _lineage(language, chunks, inputs),
    }


def _lineage(language: str, chunks: int, inputs: Inputs) -> dict[str, Any]:
    """Engine, model and version by stage, from the first result of each; a stage that used several lists them all."""
    every = range(chunks)
    used = {
        "detection": [load(Speech, inputs["detect"]).detector],
        "asr": [load(Transcript, inputs[f"transcribe:{c}"]).engine for c in every],
        "diarization": [load(Speakers, inputs["diarize"]).engine],
        "translate": [load(Translations, inputs[f"translate:{language}:{c}"]).engine for c in every],
        "tts": [s.engine for c in every for s in load(list[SpokenLine], inputs[f"spoken:{language}:{c}"]) if s.engine],
    }
    lineage: dict[str, Any] = {}
    for stage, engines in used.items():
        distinct = [asdict(engine) for engine in dict.fromkeys(engines)]
        lineage[stage] = distinct[0] if len(distinct) == 1 else distinct
    return lineage


def failed_section(language: str, error: JobError) -> Json:
    """→ as `done`: what the report says of a language that failed."""
    section = {
        "language": language,
        "status": "failed",
        "error": asdict(error),
        "segments": [],
        "metrics": {},
        "lineage": {},
    }
    return {"section": section, "files": []}


async def language_failed(ctx: JobContext, failed: Json) -> None:
    """Ends a language as its section says; nothing is changed or told where it has ended."""
    section = failed["section"]
    await ctx.store.language_failed(section["language"], JobError(**section["error"]))
    ctx.progress.ended(section["language"])


async def report(ctx: JobContext, inputs: Inputs) -> Json:
    """→ the report's `Artifact`."""
    media = load(Media, inputs["probe"])
    text = {
        "job_id": str(ctx.job.id),
        "source": {"language": media.audio_language, "duration_ms": media.duration_ms},
        "languages": [inputs[f"done:{language}"]["section"] for language in ctx.job.target_languages],
    }
    artifact = await ctx.save_text("report", None, "report.json", _json(text), "application/json")
    return dump(Artifact, artifact)


async def manifest(ctx: JobContext, inputs: Inputs) -> Result:
    """→ the manifest's `Artifact`: every file of the job by name, size and checksum."""
    own = [load(Artifact, inputs["report"])]
    if inputs["thumbnail"]:
        own.append(Artifact("thumbnail", None, "thumbnail.jpg", load(ObjectRef, inputs["thumbnail"])))
    by_language = [load(list[Artifact], inputs[f"done:{lang}"]["files"]) for lang in ctx.job.target_languages]
    files = [*own, *load(list[Artifact], inputs["captions"]), *chain.from_iterable(by_language)]
    text = {
        "job_id": str(ctx.job.id),
        "source": {"filename": ctx.job.filename, "sha256": ctx.job.source.sha256, "size": ctx.job.source.size},
        "files": [_entry(artifact) for artifact in files],
    }
    made = await ctx.save_text("manifest", None, "manifest.json", _json(text), "application/json")
    return Result(dump(Artifact, made), Shown(artifacts=(*own, made)))


def _entry(artifact: Artifact) -> dict[str, Any]:
    ref = artifact.ref
    return {
        "kind": artifact.kind,
        "language": artifact.language,
        "filename": artifact.filename,
        "sha256": ref.sha256,
        "size": ref.size,
        "content_type": ref.content_type,
    }


async def settle(ctx: JobContext, inputs: Inputs) -> Json:
    """→ credits spent: the measured length for each completed language. Where none is, its end releases the credits."""
    duration_ms = load(Media, inputs["probe"]).duration_ms
    completed = [lang for lang in ctx.job.target_languages if _completed(inputs[f"done:{lang}"])]
    if not completed:
        return 0
    amount = await ctx.stages.billing.price(duration_ms, len(completed))
    return await ctx.stages.billing.settle(ctx.job.reservation, amount)


def _completed(done: Json) -> bool:
    return bool(done["section"]["status"] == "completed")


def _json(value: Json) -> str:
    # Sorted: what comes back from a checkpoint has lost the order of its keys, and a resumed job makes the same file.
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
