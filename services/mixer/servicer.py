"""The gRPC face of the mixer: converts, waits for a place, delegates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from onevoice.mixer.v1 import mixer_service_pb2 as pb
from onevoice.mixer.v1 import mixer_service_pb2_grpc as pb_grpc
from onevoice_kit.engines.layers import Limit
from onevoice_kit.grpc.converters import ref_to_proto
from onevoice_kit.grpc.interceptors import Access
from onevoice_kit.grpc.streams import with_progress
from onevoice_kit.media_exec import Ffmpeg
from onevoice_kit.storage.base import Storage
from services.mixer import converters
from services.mixer.extraction import Extractor
from services.mixer.measuring import Measurer
from services.mixer.mixing.job import Mixing
from services.mixer.muxing import Muxer
from services.mixer.probing import KnownFacts, Prober
from services.mixer.progress import Report
from services.mixer.thumbnail import Thumbnailer

SERVICE = "onevoice.mixer.v1.MixerService"
ACCESS: Access = {
    "Probe": {"gateway", "orchestrator"},
    "ExtractAudio": {"orchestrator"},
    "Thumbnail": {"orchestrator"},
    "Mix": {"orchestrator"},
    "Mux": {"orchestrator"},
    "Measure": {"orchestrator"},
}
"""Callers of each method."""

T = TypeVar("T")
_RETRY_AFTER_S = 5.0
Context = Any
"""`grpc.aio.ServicerContext`, of which nothing is used."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases behind the servicer."""

    prober: Prober
    extractor: Extractor
    thumbnailer: Thumbnailer
    mixing: Mixing
    muxer: Muxer
    measurer: Measurer

    @staticmethod
    def over(storage: Storage, ffmpeg: Ffmpeg) -> UseCases:
        """All of them over one store and one set of media tools."""
        facts = KnownFacts(ffmpeg)
        return UseCases(
            Prober(storage, ffmpeg, facts),
            Extractor(storage, ffmpeg, facts),
            Thumbnailer(storage, ffmpeg, facts),
            Mixing(storage, ffmpeg),
            Muxer(storage, ffmpeg, facts),
            Measurer(storage, ffmpeg, facts),
        )


def limit(running: int, waiting: int) -> Limit:
    """A bound of calls that work and wait; one more is refused as busy."""
    return Limit(running, waiting, subject="The mixer", retry_after_s=_RETRY_AFTER_S)


class MixerServicer(pb_grpc.MixerServiceServicer):
    """`onevoice.mixer.v1.MixerService`."""

    def __init__(self, use_cases: UseCases, calls: Limit, probes: Limit) -> None:
        """`calls` bounds the calls that work and wait; `probes` those that probe, which are short and wait apart."""
        self._use = use_cases
        self._calls = calls
        self._probes = probes

    def Probe(self, request: pb.ProbeRequest, _ctx: Context) -> AsyncIterator[pb.ProbeResponse]:
        """Returns the facts of a file."""
        job = converters.probe_job(request)
        return with_progress(
            _in_turn(self._probes, lambda _report: self._use.prober.probe(job)),
            lambda fraction: pb.ProbeResponse(progress=converters.progress(fraction)),
            lambda facts: pb.ProbeResponse(result=converters.media_info(facts)),
        )

    def ExtractAudio(self, request: pb.ExtractAudioRequest, _ctx: Context) -> AsyncIterator[pb.ExtractAudioResponse]:
        """Extracts the sound."""
        job = converters.extraction_job(request)
        return with_progress(
            _in_turn(self._calls, lambda report: self._use.extractor.extract(job, report)),
            lambda fraction: pb.ExtractAudioResponse(progress=converters.progress(fraction)),
            lambda result: pb.ExtractAudioResponse(result=converters.extraction_result(result)),
        )

    def Thumbnail(self, request: pb.ThumbnailRequest, _ctx: Context) -> AsyncIterator[pb.ThumbnailResponse]:
        """Takes a picture."""
        job = converters.thumbnail_job(request)
        return with_progress(
            _in_turn(self._calls, lambda _report: self._use.thumbnailer.take(job)),
            lambda fraction: pb.ThumbnailResponse(progress=converters.progress(fraction)),
            lambda image: pb.ThumbnailResponse(result=pb.ThumbnailResult(image=ref_to_proto(image))),
        )

    def Mix(self, request: pb.MixRequest, _ctx: Context) -> AsyncIterator[pb.MixResponse]:
        """Mixes."""
        job = converters.mix_job(request)
        return with_progress(
            _in_turn(self._calls, lambda report: self._use.mixing.mix(job, report)),
            lambda fraction: pb.MixResponse(progress=converters.progress(fraction)),
            lambda mix: pb.MixResponse(result=converters.mix_result(mix)),
        )

    def Mux(self, request: pb.MuxRequest, _ctx: Context) -> AsyncIterator[pb.MuxResponse]:
        """Puts the file together."""
        job = converters.mux_job(request)
        return with_progress(
            _in_turn(self._calls, lambda report: self._use.muxer.mux(job, report)),
            lambda fraction: pb.MuxResponse(progress=converters.progress(fraction)),
            lambda muxed: pb.MuxResponse(result=converters.mux_result(muxed)),
        )

    def Measure(self, request: pb.MeasureRequest, _ctx: Context) -> AsyncIterator[pb.MeasureResponse]:
        """Measures a finished file."""
        job = converters.measure_job(request)
        return with_progress(
            _in_turn(self._calls, lambda report: self._use.measurer.measure(job, report)),
            lambda fraction: pb.MeasureResponse(progress=converters.progress(fraction)),
            lambda measurement: pb.MeasureResponse(result=converters.measure_result(measurement)),
        )


def _in_turn(limit: Limit, work: Callable[[Report], Awaitable[T]]) -> Callable[[Report], Awaitable[T]]:
    async def wait_and_work(report: Report) -> T:
        async with limit.place():
            return await work(report)

    return wait_and_work
