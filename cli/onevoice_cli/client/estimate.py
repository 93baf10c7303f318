"""`onevoice dub --estimate`: the price of a dub before anything is sent but the length of the video."""

from __future__ import annotations

from pathlib import Path

from onevoice_cli.client.api import ApiClient
from onevoice_cli.client.dub import DubRequest, check_languages
from onevoice_cli.client.settings import ClientSettings
from onevoice_cli.client.show import Show
from onevoice_cli.client.upload import check_file
from onevoice_kit.media_exec import Ffmpeg, probe


async def estimate(settings: ClientSettings, request: DubRequest, show: Show) -> None:
    """Shows the price in credits and the expected costs at the vendors, by stage and engine."""
    check_file(request.file)
    duration_ms = await _length_ms(request.file)
    async with ApiClient(settings) as api:
        await check_languages(api, request)
        show.estimate(await api.post("billing/estimate", request.body() | {"duration_ms": duration_ms}))


async def _length_ms(path: Path) -> int:
    """The length of a media file on this machine."""
    ffmpeg = Ffmpeg()
    async with ffmpeg.workspace() as workspace:
        facts = await probe(ffmpeg, workspace.link(path), workspace, require_audio=True)
    return round(facts.duration_s * 1000)
