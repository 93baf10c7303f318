"""The parts of the vendors' APIs that the engines use: requests checked against the published schemas."""

from __future__ import annotations

import array

import jsonschema

from tests.support.vendor_server import KEY, Reply, Request

_OPENAI_SPEECH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["model", "input", "voice"],
    "properties": {
        "model": {"type": "string"},
        "input": {"type": "string", "maxLength": 4096},
        "instructions": {"type": "string", "minLength": 1, "maxLength": 4096},
        "voice": {"type": "string"},
        "response_format": {"enum": ["mp3", "opus", "aac", "flac", "wav", "pcm"]},
        "speed": {"type": "number", "minimum": 0.25, "maximum": 4.0},
        "stream_format": {"enum": ["sse", "audio"]},
    },
}
"""`CreateSpeechRequest` of the OpenAI API 2.3.0."""
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_ELEVENLABS_SPEECH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "model_id": {"type": "string"},
        "language_code": {"type": "string", "pattern": "^[a-z]{2,3}$"},
        "voice_settings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "stability": _SHARE,
                "similarity_boost": _SHARE,
                "style": _SHARE,
                "use_speaker_boost": {"type": "boolean"},
                "speed": {"type": "number", "minimum": 0.7, "maximum": 1.2},
            },
        },
    },
}
"""`Body_text_to_speech_full` of the ElevenLabs API v1, as its SDK 2.78.0 sends it."""
_ELEVENLABS_FORMATS = ["mp3_44100_128", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100"]


def openai_speech(request: Request) -> Reply:
    """`POST /audio/speech`, format `pcm`."""
    _expect(request, "POST", "/audio/speech")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    asked = request.json
    jsonschema.validate(asked, _OPENAI_SPEECH)
    assert asked["response_format"] == "pcm"
    return Reply(_speech(asked["input"], asked["voice"], asked.get("speed", 1.0)), "audio/pcm")


def elevenlabs_speech(request: Request) -> Reply:
    """`POST /v1/text-to-speech/{voice_id}`."""
    voice = request.path.rpartition("/")[2]
    _expect(request, "POST", f"/v1/text-to-speech/{voice}")
    assert request.headers["xi-api-key"] == KEY
    asked = request.json
    jsonschema.validate(asked, _ELEVENLABS_SPEECH)
    assert set(request.query) <= {"output_format", "enable_logging"}
    assert request.query["output_format"] in _ELEVENLABS_FORMATS
    if asked["model_id"] == "eleven_multilingual_v2":
        assert "language_code" not in asked
    return Reply(_speech(asked["text"], voice, asked.get("voice_settings", {}).get("speed", 1.0)), "audio/pcm")


def _expect(request: Request, method: str, path: str) -> None:
    assert (request.method, request.path) == (method, path)


def _speech(text: str, voice: str, speed: float, rate: int = 24_000) -> bytes:
    """A tone of 1 s for 20 characters, 16-bit mono; its level follows from the voice."""
    level = 4_000 + sum(voice.encode()) % 97 * 100
    return array.array("h", [level, -level] * round(rate * len(text) / 40 / speed)).tobytes()
