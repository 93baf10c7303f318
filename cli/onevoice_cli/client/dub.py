"""`onevoice dub`: upload, start, follow, download, one after another."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onevoice_cli.client import upload
from onevoice_cli.client.api import ApiClient
from onevoice_cli.client.download import Artifact, download_all
from onevoice_cli.client.follow import Follower, JobView
from onevoice_cli.client.settings import ClientSettings
from onevoice_cli.client.show import Show
from onevoice_kit.errors import Cancelled, InvalidInput, OneVoiceError, PreconditionFailed

_CANCEL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class DubRequest:
    """Options of `onevoice dub`."""

    file: Path
    targets: Sequence[str]
    out: Path
    source: str = ""
    voices: Mapping[str, str] = field(default_factory=dict)
    loudness: str = ""
    burn_in: bool = False
    speakers: int | None = None
    force: bool = False
    engines: Mapping[str, str] = field(default_factory=dict)
    """By stage: `asr`, `separation`, `translate`, `tts`; an empty name is the server's choice."""
    terminology: str = ""

    def body(self) -> dict[str, Any]:
        """The JSON of `POST /videos/{id}/dub`; options that are not given are left to the server."""
        values: dict[str, Any] = {"target_languages": list(self.targets), "source_language": self.source}
        values |= {"voices": dict(self.voices), "loudness": self.loudness, "burn_in_captions": self.burn_in}
        values |= {"speakers": self.speakers, "force": self.force, "terminology": self.terminology}
        values |= {"engines": {stage: name for stage, name in self.engines.items() if name}}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class DubResult:
    """A finished job and where its files are."""

    job: Mapping[str, Any]
    files: Mapping[str, Path]
    """Path by name: `talk.es.mp4`, `report.json` …"""
    report: Mapping[str, Any]
    failed_languages: Sequence[str]


def parse_voices(values: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """`es=espeak:es+m3` is for one language (or speaker), `espeak:es+m3` for every target language."""
    voices: dict[str, str] = {}
    for value in values:
        name, equals, voice = value.partition("=")
        if not (voice if equals else name):
            raise InvalidInput(f"{value!r} is not a voice; write VOICE or LANGUAGE=VOICE.", reason="invalid_voice")
        voices |= {name: voice} if equals else {target: name for target in targets if target not in voices}
    return voices


def parse_languages(value: str) -> list[str]:
    """`es,ca` → both, in order, each once."""
    languages = list(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    if not languages:
        raise InvalidInput("Name at least one language with --to, for example --to es,ca.", reason="no_language")
    return languages


async def dub(settings: ClientSettings, request: DubRequest, show: Show) -> DubResult:
    """The whole command. Cancelling it cancels the job on the server."""
    size = upload.check_file(request.file)
    async with ApiClient(settings) as api:
        await api.check()
        await check_languages(api, request)
        with show.transfer("checksum", size) as advance:
            file = await _in_thread(lambda: upload.fingerprint(request.file, advance))
        video = await _upload(api, file, request, show)
        job = await api.post(f"videos/{video['id']}/dub", request.body())
        view = await _follow(api, JobView(str(job["id"])), show)
        return await _results(api, view, request, show)


async def check_languages(api: ApiClient, request: DubRequest) -> None:
    """Refuses what the server does not speak at all before anything is sent; regions are left to the server."""
    offered = await api.get("languages")
    for wanted, known in ((request.targets, offered["targets"]), ([request.source], offered["sources"])):
        primary = {language.partition("-")[0] for language in known}
        for language in filter(None, wanted):
            if language.lower().partition("-")[0] not in primary:
                verb = "to" if wanted is request.targets else "from"
                names = ", ".join(known) or "none"
                raise InvalidInput(
                    f"This server does not dub {verb} {language}; it offers {names}.", reason="unsupported_language"
                )


async def _in_thread(work: Callable[[], upload.LocalFile]) -> upload.LocalFile:
    return await asyncio.to_thread(work)


async def _upload(api: ApiClient, file: upload.LocalFile, request: DubRequest, show: Show) -> Mapping[str, Any]:
    body = file.metadata() | ({"source_language": request.source} if request.source else {})
    ticket = await api.post("videos", body)
    video: Mapping[str, Any] = ticket["video"]
    with show.transfer("upload", file.size) as advance:
        parts = await upload.send(api, file, ticket, advance)
    show.say("checking the upload")
    return await api.complete(f"videos/{video['id']}/complete", {"parts": parts} if parts else {})


async def _follow(api: ApiClient, view: JobView, show: Show) -> JobView:
    show.say(f"job {view.id}")
    try:
        with show.job() as on_change:
            return await Follower(api, view, on_change).follow()
    except asyncio.CancelledError:
        await _cancel_job(api, view, show)
        raise


async def _cancel_job(api: ApiClient, view: JobView, show: Show) -> None:
    show.say("cancelling the job")
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT_S):
            await api.post(f"jobs/{view.id}/cancel")
    except (OneVoiceError, TimeoutError):
        show.say(f"The server could not be asked to cancel job {view.id}; it may go on.")


async def _results(api: ApiClient, view: JobView, request: DubRequest, show: Show) -> DubResult:
    _raise_unless_completed(view)
    listing = await api.get(f"jobs/{view.id}/download")
    artifacts = [Artifact.from_json(item) for item in listing["items"]]
    with show.transfer("download", sum(artifact.size for artifact in artifacts)) as advance:
        files = await download_all(api, artifacts, request.out, request.file.stem, advance)
    report = await asyncio.to_thread(_read_report, files.get("report.json"))
    failed = [name for name, track in view.languages.items() if track.status != "completed"]
    show.results(files, report)
    for name in failed:
        show.say(f"{name} failed: {view.languages[name].problem or 'the server gave no reason'}")
    return DubResult(view.snapshot, files, report, failed)


def _raise_unless_completed(view: JobView) -> None:
    if view.job.status == "completed":
        return
    if view.job.status == "cancelled":
        raise Cancelled(f"Job {view.id} was cancelled.", reason="job_cancelled")
    error = view.snapshot.get("error") or {}
    message = str(error.get("message") or "the server gave no reason").rstrip(".")
    raise PreconditionFailed(f"The job failed: {message}.", reason=str(error.get("reason") or "job_failed"))


def _read_report(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    with contextlib.suppress(ValueError):  # the numbers are not shown then; the file is there
        report = json.loads(path.read_text(encoding="utf-8"))
        return report if isinstance(report, dict) else {}
    return {}
