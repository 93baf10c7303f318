"""
The schemas of vendors' requests, as far as their official packages carry them: fields, types and enumerations from the
packages, limits from the vendors' documents. A field that is not in them is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict, is_typeddict

Limits: TypeAlias = Mapping[str, Any]
"""By field: a `Field` of pydantic with its limits, or a type that replaces that of the package."""


@dataclass(frozen=True)
class Published:
    """A version of a vendor's API, where its schema was taken from."""

    api: str
    package: str
    """With its version; empty where the schema was written from the vendor's documents."""
    read: str
    """Day on which the limits were read in the vendor's documents."""


PUBLISHED: Mapping[str, Published] = {
    "openai": Published("OpenAI API 2.3.0", "openai 3.57.0", "2026-11-24"),
    "elevenlabs": Published("ElevenLabs API v1", "elevenlabs 2.78.0", "2026-11-24"),
    "deepgram": Published("Deepgram API v1", "deepgram-sdk 7.17.0", "2026-11-24"),
    "fish": Published("Fish Audio API, OpenAPI version 1", "", "2026-11-24"),
    "custom": Published("docs/custom-synthesis.md", "", "2026-11-24"),
}
"""By vendor. A new version of a package is read anew: its limits stand here, and a test compares the versions."""


def of_call(
    function: Callable[..., Any], limits: Limits, *, only: Collection[str] = (), without: Collection[str] = ()
) -> TypeAdapter[Any]:
    """The schema of the arguments of a package's call, `only` some or all `without` some: those of one part of it."""
    hints = get_type_hints(function)
    arguments = inspect.signature(function).parameters.values()
    fields = {
        one.name: Required[hints[one.name]] if one.default is one.empty else NotRequired[hints[one.name]]
        for one in arguments
        if one.name not in ("self", "request_options", *without) and (not only or one.name in only)
    }
    return TypeAdapter(_closed_fields(function.__qualname__, fields, limits))


def of_params(params: Any, limits: Limits, *, without: Collection[str] = ()) -> TypeAdapter[Any]:
    """The schema of a package's `TypedDict` of parameters."""
    hints = {name: hint for name, hint in _hints(params).items() if name not in without}
    return TypeAdapter(_closed_fields(params.__name__, hints, limits))


def _closed_fields(name: str, hints: Mapping[str, Any], limits: Limits) -> Any:
    """A `TypedDict` of these fields that takes no others."""
    unknown = set(limits) - set(hints)
    assert not unknown, f"{name} has no fields {unknown}"
    fields = {field: _limited(hint, limits.get(field)) for field, hint in hints.items()}
    make: Any = TypedDict
    closed = make(name.replace(".", "_"), fields, total=False)
    closed.__pydantic_config__ = ConfigDict(extra="forbid")
    return closed


def _limited(hint: Any, limit: Any) -> Any:
    marker, inner = _marker(hint)
    if limit is None:
        return marker[_closed(inner)]
    if type(limit) is type(Field()):
        return marker[Annotated[_closed(inner), limit]]
    return marker[limit]


def _marker(hint: Any) -> tuple[Any, Any]:
    origin = get_origin(hint)
    return (origin, get_args(hint)[0]) if origin in (Required, NotRequired) else (NotRequired, hint)


def _hints(params: Any) -> dict[str, Any]:
    """The types of a `TypedDict` or a model, each marked as required or not."""
    if is_typeddict(params):
        hints = get_type_hints(params, include_extras=True)
        plain = {name: _marker(hint)[1] for name, hint in hints.items()}
        return {
            name: (Required if name in params.__required_keys__ else NotRequired)[kind] for name, kind in plain.items()
        }
    return {
        field.alias or name: (Required if field.is_required() else NotRequired)[field.annotation]
        for name, field in params.model_fields.items()
    }


def _closed(hint: Any) -> Any:
    """A type whose records take no other fields, and whose enumerations no other values: packages leave both open."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return Union[tuple(_closed(one) for one in arguments if one is not Any)]  # noqa: UP007 - of a computed tuple
    if origin is Annotated:
        return _closed(arguments[0])
    if origin not in (None, Literal, dict) and inspect.isclass(origin) and issubclass(origin, Iterable):
        return list[_closed(arguments[0])]  # type: ignore[misc]
    if is_typeddict(hint) or (inspect.isclass(hint) and issubclass(hint, BaseModel)):
        return _record(hint)
    if getattr(hint, "__name__", "") == "SequenceNotStr":
        return list[Any]
    return hint


@cache
def _record(kind: Any) -> Any:
    return _closed_fields(kind.__name__, _hints(kind), {})


_LANGUAGE = Field(pattern="^[a-z]{2,3}$")
_SHARE = Field(ge=0, le=1)


@cache
def openai_speech() -> TypeAdapter[Any]:
    """Body of `POST /audio/speech`."""
    from openai.types.audio import SpeechCreateParams

    limits = {
        "input": Field(max_length=4096),
        "instructions": Field(min_length=1, max_length=4096),
        "speed": Field(ge=0.25, le=4.0),
    }
    return of_params(SpeechCreateParams, limits)


@cache
def openai_transcription() -> TypeAdapter[Any]:
    """Fields of the form of `POST /audio/transcriptions`, besides the file."""
    from openai.types.audio.transcription_create_params import TranscriptionCreateParamsNonStreaming

    limits = {
        "language": _LANGUAGE,
        "languages": list[Annotated[str, _LANGUAGE]],
        "temperature": _SHARE,
        "known_speaker_names": Field(max_length=4),
    }
    return of_params(TranscriptionCreateParamsNonStreaming, limits, without=("file",))


@cache
def openai_chat() -> TypeAdapter[Any]:
    """Body of `POST /chat/completions`, without streaming."""
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

    limits = {"temperature": Field(ge=0, le=2), "top_p": _SHARE, "messages": Field(min_length=1)}
    return of_params(CompletionCreateParamsNonStreaming, limits)


_SPEECH_QUERY = ("enable_logging", "optimize_streaming_latency", "output_format")


@cache
def elevenlabs_speech() -> TypeAdapter[Any]:
    """Body of `POST /v1/text-to-speech/{voice_id}`."""
    from elevenlabs.text_to_speech.raw_client import AsyncRawTextToSpeechClient

    limits = {
        "language_code": _LANGUAGE,
        "seed": Field(ge=0, le=4_294_967_295),
        "previous_request_ids": Field(max_length=3),
        "next_request_ids": Field(max_length=3),
    }
    return of_call(AsyncRawTextToSpeechClient.convert, limits, without=("voice_id", *_SPEECH_QUERY))


@cache
def elevenlabs_speech_query() -> TypeAdapter[Any]:
    """Query of the same call."""
    from elevenlabs.text_to_speech.raw_client import AsyncRawTextToSpeechClient

    return of_call(AsyncRawTextToSpeechClient.convert, {}, only=_SPEECH_QUERY)


@cache
def elevenlabs_transcription() -> TypeAdapter[Any]:
    """Fields of the form of `POST /v1/speech-to-text`, besides the file."""
    from elevenlabs.speech_to_text.raw_client import AsyncRawSpeechToTextClient

    limits = {
        "model_id": Literal["scribe_v1", "scribe_v2"],
        "language_code": _LANGUAGE,
        "num_speakers": Field(ge=1, le=32),
        "diarization_threshold": Field(ge=0.1, le=0.4),
        "temperature": Field(ge=0, le=2),
    }
    return of_call(AsyncRawSpeechToTextClient.convert, limits, without=("token", "enable_logging", "file"))


@cache
def deepgram_listen() -> TypeAdapter[Any]:
    """Query of `POST /v1/listen`."""
    from deepgram.listen.v1.media.raw_client import AsyncRawMediaClient

    limits = {"language": Field(pattern="^[a-z]{2}(-[A-Z]{2})?$")}
    return of_call(AsyncRawMediaClient.transcribe_file, limits, without=("request",))


@cache
def deepgram_speak() -> TypeAdapter[Any]:
    """Query of `POST /v1/speak`, for uncompressed sound."""
    from deepgram.speak.v1.audio.raw_client import AsyncRawAudioClient

    limits = {
        "model": Annotated[str, Field(pattern="^aura-2-[a-z]+-(de|en|es|fr|it|ja|nl)$")],
        "encoding": Literal["linear16"],
        "container": Literal["none", "wav"],
        "sample_rate": Literal["8000", "16000", "24000", "32000", "48000"],
    }
    return of_call(AsyncRawAudioClient.generate, limits, without=("text",))


@cache
def deepgram_speak_body() -> TypeAdapter[Any]:
    """Body of the same call."""
    from deepgram.speak.v1.audio.raw_client import AsyncRawAudioClient

    return of_call(AsyncRawAudioClient.generate, {"text": Field(max_length=2000)}, only=("text",))
