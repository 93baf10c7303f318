"""`onevoice dub` against a server: upload, progress, download, and what happens when these fail."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pytest
import soundfile
from rich.console import Console
from starlette.responses import JSONResponse

from onevoice_cli.client import dub as dub_module
from onevoice_cli.client.dub import DubRequest, DubResult, dub
from onevoice_cli.client.estimate import estimate
from onevoice_cli.client.follow import Follower
from onevoice_cli.client.show import Show
from onevoice_kit.errors import InvalidInput, OneVoiceError, PreconditionFailed, Unavailable
from onevoice_kit.retry import Backoff

FILES = {"my talk.es.mp4", "my talk.es.srt", "my talk.en.vtt", "report.json", "manifest.json", "thumbnail.jpg"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(Backoff, "delay_s", lambda self, attempt, rng, asked_s=0.0: 0.0)
    monkeypatch.setattr(dub_module, "Follower", partial(Follower, polls_s=0.0))


async def run(rest, video: Path, out: Path, printed: io.StringIO | None = None, **options) -> DubResult:
    request = DubRequest(video, ["es"], out, **options)
    return await dub(rest.settings, request, Show(Console(file=printed or io.StringIO(), width=200)))


async def test_a_video_comes_back_dubbed_under_the_names_promised(rest, video, tmp_path):
    printed = io.StringIO()
    result = await run(rest, video, tmp_path / "out", printed, source="en", loudness="-16", burn_in=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES == set(result.files)
    assert rest.bodies["/api/videos/v1/dub"] == {
        "target_languages": ["es"],
        "source_language": "en",
        "loudness": "-16",
        "burn_in_captions": True,
    }
    assert rest.received == {1: video.read_bytes()}
    assert result.report["job_id"] == "job-1"
    for expected in ("upload (2.6 MB)", "job job-1", "es: completed", "coverage", "100%", "my talk.es.mp4"):
        assert expected in printed.getvalue()


async def test_the_price_is_shown_and_nothing_but_the_length_is_sent(rest, tmp_path):
    sound, printed = tmp_path / "talk.wav", io.StringIO()
    soundfile.write(sound, [0.0] * 12_000, 8_000)
    request = DubRequest(sound, ["es"], tmp_path / "out", engines={"tts": "vendor"})
    await estimate(rest.settings, request, Show(Console(file=printed, width=200)))
    body = {"target_languages": ["es"], "engines": {"tts": "vendor"}, "duration_ms": 1_500}
    assert rest.bodies == {"/api/billing/estimate": body}
    rows = [" ".join(line.replace("│", " ").split()) for line in printed.getvalue().splitlines()]
    assert rows[0] == "1 credits"
    assert "tts es vendor 0.015 × 1k characters 0.001500" in rows
    assert "asr whisper not known" in rows
    assert "not known" in rows[-1]


async def test_the_api_key_does_not_go_to_signed_addresses(rest, video, tmp_path):
    await run(rest, video, tmp_path / "out")
    assert not rest.signed_with_key


async def test_a_large_file_goes_in_parts(rest, video, tmp_path):
    rest.part_size = 1_000_000
    await run(rest, video, tmp_path / "out")
    assert [len(rest.received[number]) for number in (1, 2, 3)] == [1_000_000, 1_000_000, 560_000]
    assert rest.bodies["/api/videos/v1/complete"] == {
        "parts": [{"number": 1, "etag": '"1"'}, {"number": 2, "etag": '"2"'}, {"number": 3, "etag": '"3"'}]
    }


async def test_a_form_upload_sends_the_fields_before_the_file(rest, video, tmp_path):
    rest.form = True
    await run(rest, video, tmp_path / "out")
    assert rest.received == {1: video.read_bytes()}


async def test_a_part_that_fails_is_sent_again(rest, video, tmp_path, busy):
    rest.part_size = 1_000_000
    rest.failures["PUT /storage/2"] = [busy(), busy()]
    result = await run(rest, video, tmp_path / "out")
    assert set(result.files) == FILES


async def test_a_part_that_always_fails_ends_the_upload(rest, video, tmp_path, busy):
    rest.part_size = 1_000_000
    rest.failures["PUT /storage/2"] = [busy() for _ in range(5)]
    with pytest.raises(Unavailable, match="Full"):
        await run(rest, video, tmp_path / "out")
    assert "/api/videos/v1/dub" not in rest.bodies


async def test_a_call_that_is_repeated_carries_the_same_idempotency_key(rest, video, tmp_path, busy):
    rest.failures["POST /api/videos/v1/dub"] = [busy()]
    await run(rest, video, tmp_path / "out")
    first, second = rest.idempotency_keys["/api/videos/v1/dub"]
    assert first == second
    assert first not in rest.idempotency_keys["/api/videos"]


async def test_a_broken_event_stream_goes_on_where_it_stopped(rest, video, tmp_path):
    rest.cut_stream_after = 3
    result = await run(rest, video, tmp_path / "out")
    assert rest.last_event_ids[:2] == ["", "3"]
    assert result.job["status"] == "completed"


async def test_without_events_the_job_is_polled(rest, video, tmp_path):
    rest.sse_status = 404
    result = await run(rest, video, tmp_path / "out")
    assert rest.polls >= 3
    assert set(result.files) == FILES


async def test_a_file_that_arrives_damaged_is_fetched_again(rest, video, tmp_path):
    rest.damage["video"] = 2
    result = await run(rest, video, tmp_path / "out")
    assert result.files["my talk.es.mp4"].read_bytes() == b"video" * 100_000


async def test_a_file_that_stays_damaged_is_not_kept(rest, video, tmp_path):
    rest.damage["video"] = 99
    with pytest.raises(Unavailable, match="checksum") as caught:
        await run(rest, video, tmp_path / "out")
    assert caught.value.reason == "checksum_mismatch"
    assert not [path for path in (tmp_path / "out").iterdir() if "mp4" in path.name or ".part" in path.name]


async def test_a_failed_job_shows_its_cause(rest, video, tmp_path):
    rest.job_error = {"reason": "no_speech", "message": "The video has no speech."}
    with pytest.raises(PreconditionFailed, match="The job failed: The video has no speech") as caught:
        await run(rest, video, tmp_path / "out")
    assert caught.value.reason == "no_speech"


async def test_a_failed_language_is_named_and_the_others_are_kept(rest, video, tmp_path):
    rest.language_errors["ca"] = "No engine speaks it."
    printed = io.StringIO()
    request = DubRequest(video, ["es", "ca"], tmp_path / "out")
    result = await dub(rest.settings, request, Show(Console(file=printed, width=200)))
    assert result.failed_languages == ["ca"]
    assert "ca failed: No engine speaks it." in printed.getvalue()
    assert set(result.files) == FILES


async def test_the_servers_refusal_is_passed_on(rest, video, tmp_path, problem):
    rest.failures["POST /api/videos/v1/complete"] = [problem(422, "no_audio", "The video has no sound.")]
    with pytest.raises(InvalidInput, match="The video has no sound") as caught:
        await run(rest, video, tmp_path / "out")
    assert caught.value.reason == "no_audio"


async def test_refused_fields_are_named(rest, video, tmp_path):
    errors = [{"field": "body.loudness", "message": "Input should be '-23'"}]
    refusal = JSONResponse({"detail": "Not valid.", "reason": "invalid_request", "errors": errors}, 422)
    rest.failures["POST /api/videos/v1/dub"] = [refusal]
    with pytest.raises(InvalidInput, match=r"Not valid \(loudness: Input should be '-23'\)\."):
        await run(rest, video, tmp_path / "out", loudness="loud")


@pytest.mark.parametrize(
    ("targets", "source", "said"), [(["es", "zz"], "", "to zz; it offers ca, es"), (["es-419"], "xx", "from xx")]
)
async def test_a_language_that_is_not_spoken_is_refused_before_the_upload(rest, video, tmp_path, targets, source, said):
    with pytest.raises(InvalidInput, match=said):
        await dub(rest.settings, DubRequest(video, targets, tmp_path, source), Show(Console(file=io.StringIO())))
    assert rest.received == {}


async def test_an_output_folder_that_is_a_file_is_named(rest, video, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OneVoiceError, match="output folder"):
        await run(rest, video, tmp_path / "out")
