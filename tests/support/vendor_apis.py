"""The parts of the vendors' APIs that the engines use: requests checked against `vendor_schemas`, replies made up."""

from __future__ import annotations

import array
import base64
import io
import json
import wave
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema
import soundfile

from tests.support import vendor_schemas as schemas
from tests.support.vendor_server import KEY, Reply, Request

_CUSTOM_SPEECH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text", "language", "voice", "rate", "sample_rate"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 2000},
        "language": {"type": "string"},
        "voice": {"type": "string"},
        "rate": {"type": "number", "minimum": 0.5, "maximum": 2.0},
        "sample_rate": {"type": "integer"},
    },
}
"""The contract of `docs/custom-synthesis.md`: the request for one line."""
_CUSTOM_BATCH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["lines"],
    "properties": {"lines": {"type": "array", "items": _CUSTOM_SPEECH, "minItems": 2, "maxItems": 4}},
}
"""The request for several lines, of a server that takes up to 4."""
_FISH_SPEECH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text", "reference_id"],
    "properties": {
        "text": {"type": "string", "pattern": r"^[^<>|()\[\]]+$"},
        "reference_id": {"type": "string"},
        "prosody": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "speed": {"type": "number", "minimum": 0.5, "maximum": 2.0},
                "volume": {"type": "number", "minimum": -20, "maximum": 20},
            },
        },
        "format": {"const": "pcm"},
        "sample_rate": {"type": "integer", "enum": [8000, 16000, 24000, 32000, 44100]},
    },
}
"""Body of `POST /v1/tts` of the Fish Audio API, OpenAPI version 1, for one speaker and the format `pcm`."""


def openai_speech(request: Request) -> Reply:
    """`POST /audio/speech`, format `pcm`."""
    _expect(request, "POST", "/audio/speech")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    asked = request.json
    schemas.openai_speech().validate_json(request.body, strict=True)
    assert asked["response_format"] == "pcm"
    return Reply(_speech(asked["input"], asked["voice"], asked.get("speed", 1.0)), "audio/pcm")


def elevenlabs_speech(request: Request) -> Reply:
    """`POST /v1/text-to-speech/{voice_id}`."""
    voice = request.path.rpartition("/")[2]
    _expect(request, "POST", f"/v1/text-to-speech/{voice}")
    assert request.headers["xi-api-key"] == KEY
    asked = request.json
    schemas.elevenlabs_speech().validate_json(request.body, strict=True)
    schemas.elevenlabs_speech_query().validate_python(dict(request.query))
    assert request.query["output_format"].startswith("pcm_")
    if asked["model_id"] == "eleven_multilingual_v2":
        assert "language_code" not in asked
    return Reply(_speech(asked["text"], voice, asked.get("voice_settings", {}).get("speed", 1.0)), "audio/pcm")


def openai_transcription(request: Request) -> Reply:
    """`POST /audio/transcriptions`."""
    _expect(request, "POST", "/audio/transcriptions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    asked, sound = request.form()
    schemas.openai_transcription().validate_python(asked)
    words: list[dict[str, Any]] = [{"word": word, "start": start, "end": end} for word, start, end in _heard(sound)]
    text = ", ".join(word["word"] for word in words) + "."
    if asked["response_format"] == "json":
        assert "timestamp_granularities" not in asked
        return _json({"text": text})
    assert not asked["model"].startswith("gpt-")
    segment = {"id": 0, "start": 0.0, "end": words[-1]["end"] if words else 0.0, "text": text, "avg_logprob": -0.2}
    return _json({"task": "transcribe", "language": "english", "text": text, "words": words, "segments": [segment]})


def elevenlabs_transcription(request: Request) -> Reply:
    """`POST /v1/speech-to-text`."""
    _expect(request, "POST", "/v1/speech-to-text")
    assert request.headers["xi-api-key"] == KEY
    asked, sound = request.form()
    # The package sends JSON's null for objects that are not given.
    given = {name: None if value == "null" else value for name, value in asked.items()}
    schemas.elevenlabs_transcription().validate_python(given)
    words: list[dict[str, Any]] = []
    for word, start, end in _heard(sound):
        who = {"speaker_id": f"speaker_{_speaker(start)}"} if asked["diarize"] == "true" else {}
        words.append({"text": word, "type": "word", "start": start, "end": end, "logprob": -0.1, **who})
        words.append({"text": " ", "type": "spacing", "start": end, "end": end, "logprob": 0.0, **who})
    words.append({"text": "(laughs)", "type": "audio_event", "start": 0.0, "end": 0.1, "logprob": -0.1})
    text = "".join(word["text"] for word in words)
    return _json({"language_code": "eng", "language_probability": 0.9, "text": text, "words": words})


def fish_speech(request: Request) -> Reply:
    """`POST /v1/tts`, format `pcm`."""
    _expect(request, "POST", "/v1/tts")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["model"] in ("s1", "s2-pro")
    asked = request.json
    jsonschema.validate(asked, _FISH_SPEECH)
    return Reply(
        _speech(asked["text"], asked["reference_id"], asked["prosody"]["speed"], asked["sample_rate"]), "audio/pcm"
    )


def custom_speech(request: Request) -> Reply:
    """`POST /speak`."""
    _expect(request, "POST", "/speak")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    asked = request.json
    if "lines" in asked:
        jsonschema.validate(asked, _CUSTOM_BATCH)
        return _json({"lines": [{"audio": base64.b64encode(_custom_wav(line)).decode()} for line in asked["lines"]]})
    jsonschema.validate(asked, _CUSTOM_SPEECH)
    return Reply(_custom_wav(asked), "audio/wav")


def _custom_wav(asked: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, asked["sample_rate"], 0, "NONE", ""))
        sound.writeframes(_speech(asked["text"], asked["voice"], asked["rate"], asked["sample_rate"]))
    return file.getvalue()


def deepgram_speech(request: Request) -> Reply:
    """`POST /v1/speak`."""
    _expect(request, "POST", "/v1/speak")
    assert request.headers["authorization"] == f"Token {KEY}"
    schemas.deepgram_speak().validate_python(dict(request.query))
    schemas.deepgram_speak_body().validate_json(request.body, strict=True)
    return Reply(_speech(request.json["text"], request.query["model"], 1.0), "audio/l16;rate=24000;channels=1")


def deepgram_transcription(request: Request) -> Reply:
    """`POST /v1/listen`."""
    _expect(request, "POST", "/v1/listen")
    assert request.headers["authorization"] == f"Token {KEY}"
    schemas.deepgram_listen().validate_python(dict(request.query))
    words: list[dict[str, Any]] = []
    for word, start, end in _heard(request.body):
        who = {"speaker": _speaker(start), "speaker_confidence": 0.8} if request.query.get("diarize") == "true" else {}
        words.append(
            {"word": word, "punctuated_word": f"{word},", "start": start, "end": end, "confidence": 0.9, **who}
        )
    alternative = {"transcript": " ".join(f"word{n}" for n in range(len(words))), "confidence": 0.9, "words": words}
    metadata = {
        "request_id": "00000000-0000-4000-8000-000000000000",
        "sha256": "",
        "created": "2026-01-01T00:00:00.000Z",
        "duration": 1.0,
        "channels": 1,
        "models": [],
        "model_info": {},
    }
    return _json({"metadata": metadata, "results": {"channels": [{"alternatives": [alternative]}]}})


def _json(body: Any) -> Reply:
    return Reply(json.dumps(body).encode(), "application/json")


def _heard(sound: bytes) -> Iterable[tuple[str, float, float]]:
    """A word for each half second of a FLAC file of 16 kHz, mono: text, start and end in seconds."""
    with soundfile.SoundFile(io.BytesIO(sound)) as file:
        assert (file.format, file.samplerate, file.channels) == ("FLAC", 16_000, 1)
        seconds = file.frames / file.samplerate
    assert seconds >= 0.1
    return [(f"word{n}", n / 2 + 0.1, n / 2 + 0.4) for n in range(int(seconds * 2))]


def _speaker(at_s: float) -> int:
    """Two speakers in turn, for four seconds each."""
    return int(at_s // 4 % 2)


def _expect(request: Request, method: str, path: str) -> None:
    assert (request.method, request.path) == (method, path)


def _speech(text: str, voice: str, speed: float, rate: int = 24_000) -> bytes:
    """A tone of 1 s for 20 characters, 16-bit mono; its level follows from the voice."""
    level = 4_000 + sum(voice.encode()) % 97 * 100
    return array.array("h", [level, -level] * round(rate * len(text) / 40 / speed)).tobytes()
