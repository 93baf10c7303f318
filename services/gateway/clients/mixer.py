"""Client of the mixer: what a media file is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import grpc

from onevoice.mixer.v1 import mixer_service_pb2 as pb
from onevoice.mixer.v1.mixer_service_pb2_grpc import MixerServiceStub
from onevoice_jobs import keys
from onevoice_kit.grpc.context import object_scope
from onevoice_kit.grpc.converters import ref_to_proto
from onevoice_kit.grpc.streams import final_result
from onevoice_kit.storage.base import ObjectRef

from . import with_retries

_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Media:
    """The facts of a media file."""

    duration_ms: int
    width: int | None
    height: int | None
    has_audio: bool
    language: str | None
    """Language that the first audio stream states."""


class MixerClient:
    """Probes files. Raises the kit's errors with the mixer's reasons (`not_media`, `no_audio`, …)."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = MixerServiceStub(channel)

    async def probe(self, source: ObjectRef, user_id: UUID) -> Media:
        """Measures a file of this user; refuses one that cannot be dubbed."""
        request = pb.ProbeRequest(source=ref_to_proto(source), require_audio=True)
        with object_scope(keys.user_prefix(user_id)):
            info = await with_retries(lambda: final_result(self._stub.Probe(request, timeout=_TIMEOUT_S)))
        has_picture = info.HasField("video")
        return Media(
            duration_ms=info.duration_ms,
            width=info.video.width if has_picture else None,
            height=info.video.height if has_picture else None,
            has_audio=len(info.audio) > 0,
            language=(info.audio[0].language or None) if info.audio else None,
        )
