"""Deadlines nest; references survive the wire."""

from __future__ import annotations

import asyncio

import pytest

from onevoice.common.v1 import media_pb2
from onevoice_kit.errors import InvalidInput
from onevoice_kit.grpc.context import deadline, remaining
from onevoice_kit.grpc.converters import ref_from_proto, ref_to_proto
from onevoice_kit.storage.base import ObjectRef


def left() -> float:
    seconds = remaining()
    assert seconds is not None
    return seconds


def test_without_a_deadline_there_is_no_limit():
    assert remaining() is None


def test_the_earlier_deadline_wins_however_they_nest():
    with deadline(100):
        with deadline(1000):
            assert left() <= 100
        with deadline(10):
            assert left() <= 10
        assert 10 < left() <= 100
    assert remaining() is None


def test_no_seconds_change_nothing():
    with deadline(100), deadline(None):
        assert 0 < left() <= 100


def test_a_passed_deadline_leaves_nothing_and_not_less():
    with deadline(-5):
        assert remaining() == 0


async def test_tasks_and_threads_inherit_the_deadline():
    async def in_a_task() -> float | None:
        return remaining()

    with deadline(100):
        found = await asyncio.gather(asyncio.create_task(in_a_task()), asyncio.to_thread(remaining))
    assert all(seconds is not None and seconds <= 100 for seconds in found)


def test_a_reference_survives_the_wire():
    ref = ObjectRef(uri="s3://bucket/users/1/a.flac", sha256="ab" * 32, size=12_345_678_901, content_type="audio/flac")
    wire = media_pb2.ObjectRef.FromString(ref_to_proto(ref).SerializeToString())
    assert ref_from_proto(wire) == ref


def test_a_missing_reference_is_the_callers_mistake():
    with pytest.raises(InvalidInput) as caught:
        ref_from_proto(media_pb2.ObjectRef())
    assert caught.value.reason == "missing_object_ref"
