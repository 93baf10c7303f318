"""The neural engines of both ends: what one speaks, the other recognises."""

from __future__ import annotations

import re

import numpy as np
from scipy.signal import resample_poly

from services.asr.engines import whisper, whisper_language
from services.asr.engines.base import TimeRange
from services.asr.settings import AsrSettings
from services.tts.engines import kokoro
from services.tts.engines.base import Line
from services.tts.settings import TtsSettings
from tests.unit.asr import samples

LINE = "La biblioteca queda abierta hasta la noche."


async def test_a_spoken_line_is_recognised_word_by_word(tmp_path):
    speaker, listener = kokoro.create(TtsSettings(tts_workers=1)), whisper.create(AsrSettings(asr_workers=1))
    voice = next(one for one in (await speaker.describe()).voices if one.language == "es")
    spoken = np.frombuffer(await speaker.speak(Line(LINE, voice)), "<i2") / 32768
    path = samples.write(tmp_path / "line.wav", resample_poly(spoken, 2, 3))
    region = TimeRange(0, len(spoken) // 24)
    [utterance] = [one async for one in listener.transcribe(path, [region], "es")]
    got = re.findall(r"\w+", " ".join(word.text for word in utterance.words).lower())
    assert got == re.findall(r"\w+", LINE.lower())
    heard = await whisper_language.create(AsrSettings(asr_workers=1)).identify(path, [region])
    assert (heard.language, heard.probability > 0.5) == ("es", True)
