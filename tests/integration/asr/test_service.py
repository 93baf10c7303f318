"""A client, a real server, real speech."""

from __future__ import annotations

import asyncio
import re

import numpy as np
import psutil
import pytest
import soundfile

from onevoice.asr.v1 import asr_service_pb2
from onevoice.common.v1 import media_pb2
from onevoice_kit.errors import Busy, InvalidInput, NotFound, PreconditionFailed, Unavailable
from onevoice_kit.grpc.converters import ref_from_proto, ref_to_proto
from onevoice_kit.grpc.streams import final_result
from onevoice_kit.testing.waiting import eventually
from tests.unit.asr import samples

pytestmark = pytest.mark.xdist_group("asr-engines")


async def detect(service, audio, **options):
    request = asr_service_pb2.DetectSpeechRequest(audio=audio, **options)
    return await final_result(service.stub.DetectSpeech(request, timeout=60))


@pytest.mark.parametrize(("engine", "errors"), [("pocketsphinx", 0.5), ("whisper", 0.05)])
async def test_a_reading_over_music_comes_back_as_words_with_times(start, tmp_path, engine, errors):
    async with start(asr_workers=2, asr_transcription_engines=(engine, "pocketsphinx")) as service:
        await check_reading(service, tmp_path, engine, errors)


async def check_reading(service, tmp_path, engine, errors):
    sound = samples.reading(*samples.NAMES)
    audio = await service.store(tmp_path, sound + samples.music(sound.size / samples.RATE, 0.005)[: sound.size])
    found = await detect(service, audio)
    assert found.duration_ms == pytest.approx(sound.size / 16, abs=1)
    assert len(found.chunks) >= 2

    answers = await asyncio.gather(*(service.transcribe(audio, chunk.regions) for chunk in found.chunks))
    utterances = [utterance for part, _ in answers for utterance in part]
    regions = [region for chunk in found.chunks for region in chunk.regions]
    assert [utterance.range for utterance in utterances] == regions
    words = [word for utterance in utterances for word in utterance.words]
    expected = [word for name in samples.NAMES for word in samples.transcripts()[name]]
    spelt = " ".join(word.text for word in words).replace("Mr.", "mister")
    got = re.findall(r"[a-z']+", spelt.lower())
    assert samples.word_errors(expected, got) / len(expected) < errors
    onsets = [utterance.words[0].start_ms - utterance.range.start_ms for utterance in utterances]
    assert all(0 <= onset < 200 for onset in onsets)
    assert {result.engine.name for _, result in answers} == {engine}
    assert all(result.engine.version for _, result in answers)


async def test_music_only_has_no_speech(service, tmp_path):
    audio = await service.store(tmp_path, samples.music(20))
    with pytest.raises(PreconditionFailed) as caught:
        await detect(service, audio)
    assert caught.value.reason == "no_speech"


async def test_everything_is_spoken_by_the_one_speaker(service, tmp_path):
    audio = await service.store(tmp_path, samples.silence(1))
    regions = [media_pb2.TimeRange(start_ms=0, end_ms=400), media_pb2.TimeRange(start_ms=500, end_ms=900)]
    request = asr_service_pb2.DiarizeRequest(audio=audio, regions=regions)
    result = await final_result(service.stub.Diarize(request, timeout=20))
    assert [(turn.range, turn.speaker) for turn in result.turns] == [(region, "speaker_1") for region in regions]
    assert result.engine.name == "single"


async def test_a_programme_is_separated_once_and_found_when_asked_again(start, tmp_path):
    path = samples.write(tmp_path / "programme.flac", np.zeros((48_000, 2)), 48_000)
    async with start(asr_workers=1, asr_separation_engines=("deepfilter",)) as service:
        programme = ref_to_proto(await service.storage.put_file("tests/programme.flac", path, "audio/flac"))
        request = asr_service_pb2.SeparateRequest(programme=programme, output_prefix="tests/asr")
        first = await final_result(service.stub.Separate(request, timeout=120))
        again = await final_result(service.stub.Separate(request, timeout=120))
        async with service.storage.open_local(ref_from_proto(first.background)) as background:
            assert soundfile.info(str(background)).frames == 48_000
    assert (first.engine.name, first.reason) == ("deepfilter", "")
    assert first.background.uri.startswith("file:///tests/asr/")
    assert again == first


async def test_without_a_separator_there_are_no_stems_and_a_reason(service, tmp_path):
    programme = await service.store(tmp_path, samples.silence(1))
    request = asr_service_pb2.SeparateRequest(programme=programme, output_prefix="tests/asr")
    result = await final_result(service.stub.Separate(request, timeout=20))
    assert not result.HasField("background")
    assert not result.HasField("voice")
    assert (result.engine.name, bool(result.reason)) == ("none", True)


async def test_the_engines_are_listed_with_their_lineage(service):
    listed = await service.stub.ListEngines(asr_service_pb2.ListEnginesRequest(), timeout=20)
    (engine,) = listed.transcription
    assert (engine.name, engine.model, list(engine.languages)) == ("pocketsphinx", "en-us", ["en"])
    assert engine.available
    assert engine.version
    assert [(engine.name, engine.available) for engine in listed.diarization] == [("single", True)]
    assert [(engine.name, engine.available) for engine in listed.detection] == [("silero", True)]
    assert [(engine.name, engine.available) for engine in listed.separation] == [("none", True)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"language": "es"}, "unsupported_language"),
        ({"language": ""}, "unsupported_language"),
        ({"engine": "nonsense"}, "unknown_engine"),
        ({"engine": "pocketsphinx", "language": "de"}, "unsupported_language"),
    ],
)
async def test_what_cannot_be_recognised_is_the_callers_fault(service, tmp_path, options, reason):
    audio = await service.store(tmp_path, samples.silence(1))
    with pytest.raises(InvalidInput) as caught:
        await service.transcribe(audio, [media_pb2.TimeRange(start_ms=0, end_ms=500)], **options)
    assert caught.value.reason == reason


async def test_regions_after_the_end_of_the_audio_are_refused(service, tmp_path):
    audio = await service.store(tmp_path, samples.silence(1))
    with pytest.raises(InvalidInput) as caught:
        await service.transcribe(audio, [media_pb2.TimeRange(start_ms=5000, end_ms=5500)])
    assert caught.value.reason == "invalid_regions"


async def test_a_missing_reference_and_a_missing_object_are_kept_apart(service, tmp_path):
    audio = await service.store(tmp_path, samples.silence(1))
    with pytest.raises(InvalidInput) as no_reference:
        await detect(service, media_pb2.ObjectRef())
    await service.storage.delete("tests/a.flac")
    with pytest.raises(NotFound) as no_object:
        await detect(service, audio)
    assert no_reference.value.reason == "missing_object_ref"
    assert no_object.value.reason == "object_not_found"


async def test_a_full_service_reports_when_to_come_back(start, tmp_path):
    # Several regions and one worker: after the first utterance the call still has most of its work before it.
    regions = [media_pb2.TimeRange(start_ms=start_ms, end_ms=start_ms + 6800) for start_ms in range(1000, 60_000, 8300)]
    async with start(asr_workers=1, asr_max_calls=1) as service:
        audio = await service.store(tmp_path, samples.reading(*[samples.NAMES[0]] * len(regions)))
        request = asr_service_pb2.TranscribeRequest(audio=audio, regions=regions, language="en")
        first = service.stub.Transcribe(request, timeout=120)
        message = await anext(aiter(first))
        with pytest.raises(Busy) as caught:
            await service.transcribe(audio, regions[:1])
        assert message.WhichOneof("event") in {"utterance", "progress"}
        assert caught.value.reason == "queue_full"
        assert caught.value.retry_after

        # A client that goes away gives its place free, and the regions that no caller waits for are not recognised.
        first.cancel()
        utterances, _ = await eventually(lambda: admitted(service, audio, regions[:1]), timeout=60)
        assert len(utterances) == 1


async def admitted(service, audio, regions):
    try:
        return await service.transcribe(audio, regions)
    except Busy:
        return None


async def test_a_worker_that_dies_costs_one_retry(start, tmp_path):
    regions = [media_pb2.TimeRange(start_ms=1000, end_ms=8000)]
    async with start(asr_workers=1) as service:
        audio = await service.store(tmp_path, samples.reading(samples.NAMES[0]))
        await service.wiring.warm()
        call = asyncio.create_task(service.transcribe(audio, regions))
        await eventually(lambda: service.wiring.transcription.get("pocketsphinx")._pool._executor._pending_work_items)
        for child in psutil.Process().children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.reason == "worker_lost"
        assert caught.value.retry_after
        utterances, _ = await service.transcribe(audio, regions)
        assert utterances[0].words


async def test_progress_never_goes_back(service, tmp_path):
    audio = await service.store(tmp_path, samples.reading(*samples.NAMES[:2]))
    regions = [media_pb2.TimeRange(start_ms=start_ms, end_ms=start_ms + 500) for start_ms in range(1200, 8000, 500)]
    request = asr_service_pb2.TranscribeRequest(audio=audio, regions=regions, language="en")
    events = [message async for message in service.stub.Transcribe(request, timeout=120)]
    fractions = [message.progress.fraction for message in events if message.WhichOneof("event") == "progress"]
    assert fractions == sorted(fractions)
    assert [message.WhichOneof("event") for message in events].count("utterance") == len(regions)
    assert events[-1].WhichOneof("event") == "result"
