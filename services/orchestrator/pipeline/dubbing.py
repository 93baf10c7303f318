"""The dubbing pipeline as data: which step follows from which."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any

from ..codec import load
from ..stages.asr import Speech
from ..steps import assembly, ending, language, source
from ..steps.context import JobContext
from ..steps.source import Line
from .graph import Json, Step


def scope_end(scope: str) -> str:
    """The key of the step that ends a language."""
    return f"done:{scope}"


def dubbing(ctx: JobContext) -> list[Step]:
    """The steps a job begins with; the rest follow from what they find."""
    return [
        Step("probe", "mixer", partial(source.probe, ctx)),
        Step("extract", "mixer", partial(source.extract, ctx)),
        Step("detect", "asr", partial(source.detect, ctx), ("extract",), then=partial(_after_detection, ctx)),
        Step("diarize", "asr", partial(source.diarize, ctx), ("extract", "detect")),
    ]


def _after_detection(ctx: JobContext, output: Json) -> Iterable[Step]:
    """Recognition per chunk; each language from there on; what ends the job."""
    speech = load(Speech, output)
    chunks = len(speech.chunks)
    ctx.progress.expect_speech(speech.chunks)
    cuts = tuple(f"cut:{chunk}" for chunk in range(chunks))
    ends = tuple(scope_end(lang) for lang in ctx.job.target_languages)
    for chunk in range(chunks):
        yield from _recognition(ctx, chunk)
    yield Step("transcript", "store", partial(source.transcript, chunks), cuts, pure=True)
    yield Step(
        "captions", "store", partial(assembly.source_captions, ctx, chunks), ("probe", "extract", "transcript", *cuts)
    )
    for lang in ctx.job.target_languages:
        yield from _language(ctx, lang, chunks, cuts)
    # After recognition, which keeps every core busy; the mix of one language does not.
    yield Step("thumbnail", "mixer", partial(source.thumbnail, ctx), ("probe", "transcript"))
    yield Step("report", "store", partial(ending.report, ctx), ("probe", "captions", *ends))
    yield Step("manifest", "store", partial(ending.manifest, ctx), ("report", "thumbnail", "captions", *ends))
    # Each run pays under a reservation of its own.
    run = ctx.job.reservation
    yield Step("settle", "billing", partial(ending.settle, ctx), ("probe", "manifest", *ends), params=run)


def _recognition(ctx: JobContext, chunk: int) -> Iterable[Step]:
    yield Step(
        f"transcribe:{chunk}", "transcribe", partial(source.transcribe, ctx, chunk), ("probe", "extract", "detect")
    )
    yield Step(
        f"cut:{chunk}",
        "store",
        partial(source.cut, chunk),
        (f"transcribe:{chunk}", "diarize", "detect"),
        then=partial(_after_cut, ctx, chunk),
        pure=True,
    )


def _after_cut(ctx: JobContext, chunk: int, output: Json) -> Iterable[Step]:
    """A chunk goes on to every language while later chunks are still being recognised."""
    lines = load(list[Line], output)
    ctx.progress.heard(chunk)
    for lang in ctx.job.target_languages:
        yield from _lines(ctx, lang, chunk, lines)


def _lines(ctx: JobContext, lang: str, chunk: int, lines: list[Line]) -> Iterable[Step]:
    ids = [line.id for line in lines]
    translated = f"translate:{lang}:{chunk}"
    options = ctx.options.model_dump(mode="json")
    yield Step(
        translated,
        "translate",
        partial(language.translate, ctx, lang, chunk),
        ("probe", f"cut:{chunk}"),
        params=[options["glossary"], options["engines"]],
        scope=lang,
    )
    for line in lines:
        yield Step(
            f"speak:{lang}:{line.id}",
            "tts",
            partial(language.speak, ctx, lang, line),
            (translated, f"voices:{lang}"),
            params=ctx.edits.text(lang, line.id),
            scope=lang,
        )
    speeches = tuple(f"speak:{lang}:{line_id}" for line_id in ids)
    gather = partial(language.spoken, lang, ids)
    yield Step(f"spoken:{lang}:{chunk}", "store", gather, (translated, *speeches), scope=lang, pure=True)


def _language(ctx: JobContext, lang: str, chunks: int, cuts: tuple[str, ...]) -> Iterable[Step]:
    spoken = tuple(f"spoken:{lang}:{chunk}" for chunk in range(chunks))
    translated = tuple(f"translate:{lang}:{chunk}" for chunk in range(chunks))
    transcribed = tuple(f"transcribe:{chunk}" for chunk in range(chunks))
    options = ctx.options.model_dump(mode="json")

    def step(
        name: str,
        stage: str,
        run: partial[Coroutine[Any, Any, Json]],
        deps: tuple[str, ...],
        params: Json = None,
        *,
        pure: bool = False,
    ) -> Step:
        return Step(f"{name}:{lang}", stage, run, deps, params=params, scope=lang, pure=pure)

    yield step("voices", "tts", partial(language.voices, ctx, lang), ("diarize",), options["voices"].get(lang))
    fitted = ("extract", "transcript", *cuts, *spoken)
    yield step("fit", "store", partial(assembly.fit, lang, chunks), fitted, pure=True)
    yield step("captions", "store", partial(assembly.captions, ctx, lang), ("extract", f"fit:{lang}"))
    yield step(
        "mix",
        "mixer",
        partial(assembly.mix, ctx, lang),
        ("extract", f"fit:{lang}"),
        [options["loudness"], options["duck_gain_db"]],
    )
    yield step(
        "mux",
        "mixer",
        partial(assembly.mux, ctx, lang),
        ("probe", "extract", f"mix:{lang}", f"captions:{lang}"),
        [options["burn_in_captions"], options["keep_original_audio"]],
    )
    parts = (f"fit:{lang}", f"captions:{lang}", f"mix:{lang}", f"mux:{lang}", *translated, *spoken)
    once = ("probe", "extract", "detect", "diarize", "transcript", *cuts, *transcribed)
    # An edit that changes nothing ends its language again, too.
    yield step("done", "store", partial(ending.done, ctx, lang, chunks), (*once, *parts), ctx.edits.revision(lang))
