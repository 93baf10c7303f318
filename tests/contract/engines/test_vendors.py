"""The contract of every engine of a vendor: how each failure of the vendor ends, and that the key stays secret."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace

import httpx
import jsonschema
import pydantic
import pytest

from onevoice_kit.errors import Busy, DeadlineExceeded, InvalidInput, OneVoiceError, PreconditionFailed, Unavailable
from onevoice_kit.testing.waiting import eventually
from services.asr.engines.base import TimeRange
from services.tts.engines.base import Line
from tests.contract.engines.vendors import VENDORS, make, served
from tests.support import vendor_server as faults
from tests.support.vendor_schemas import PUBLISHED
from tests.support.vendor_server import KEY, Request

KIND = "vendors"
FAILURES = {
    "key refused": (faults.refuses(401), PreconditionFailed, "engine_key_refused"),
    "account refused": (faults.refuses(403), PreconditionFailed, "engine_key_refused"),
    "no credit": (faults.refuses(402), PreconditionFailed, "engine_key_refused"),
    "request refused": (faults.refuses(422), InvalidInput, "engine_refused"),
    "too many requests": (faults.refuses(429, retry_after="7"), Busy, "engine_busy"),
    "broken": (faults.refuses(500), Unavailable, "engine_failed"),
    "overloaded": (faults.refuses(503, retry_after="7"), Unavailable, "engine_failed"),
    "elsewhere": (faults.refuses(302, location="http://127.0.0.1:9/"), Unavailable, "engine_failed"),
    "silent": (faults.silent, DeadlineExceeded, "engine_timeout"),
    "dripping": (faults.dripping, DeadlineExceeded, "engine_timeout"),
    "cut": (faults.cut, Unavailable, "engine_failed"),
    "cut at once": (faults.cut_at_once, Unavailable, "engine_failed"),
    "no such type": (faults.sends(b"<html>", "text/html"), Unavailable, "engine_answer"),
    "empty": (faults.sends(b""), Unavailable, "engine_answer"),
    "endless": (faults.endless, Unavailable, "engine_answer"),
}
"""The fault, our error and its reason."""
GARBAGE = [b"{", b"[]", b"null", b"\xff\xfe", b'{"text": 7, "words": 7}', b'{"text": "", "words": [{"word": []}]}']
"""Replies of JSON's type that are none, or have another form than documented."""
SENTENCE = TimeRange(1400, 4100)
RECOGNISERS = ("transcription", "conversation")
SLOW = {"silent", "dripping"}
ASKS_TO_WAIT = {"too many requests", "overloaded"}


@pytest.fixture(params=VENDORS, ids="-".join)
def vendor(request):
    return request.param


@pytest.fixture
def call(audio):
    """Calls an engine of any kind once."""

    async def once(kind, engine):
        if kind == "synthesis":
            return await engine.speak(Line("Hola.", (await engine.describe()).voices[0]))
        if kind == "conversation":
            return await engine.recognise(audio, "en", 0)
        return [found async for found in engine.transcribe(audio, [SENTENCE], "en")]

    return once


@pytest.mark.parametrize("failure", FAILURES)
async def test_each_failure_of_the_vendor_is_an_error_of_ours_without_the_key(vendor, call, failure):
    fault, error, reason = FAILURES[failure]
    async with served(vendor, timeout_s=0.4 if failure in SLOW else 20.0) as (engine, server):
        object.__setattr__(engine._vendor, "max_bytes", 1 << 20)
        await engine.warm()
        server.fault = fault
        with pytest.raises(OneVoiceError) as caught:
            await call(vendor[0], engine)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert caught.value.retryable == error.retryable
        assert caught.value.retry_after == (7 if failure in ASKS_TO_WAIT else None)
        assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.details)
        # On a busy machine a short deadline may pass before the request has come.
        assert len(server.requests) == 1 or (failure in SLOW and not server.requests)


@pytest.mark.parametrize("body", GARBAGE)
@pytest.mark.parametrize("pair", [pair for pair in VENDORS if pair[0] in RECOGNISERS], ids="-".join)
async def test_a_reply_of_another_form_is_an_error_of_ours(pair, call, body):
    async with served(pair) as (engine, server):
        server.fault = faults.sends(body)
        with pytest.raises(Unavailable) as caught:
            await call(pair[0], engine)
        assert caught.value.reason == "engine_answer"


async def test_after_a_failure_the_engine_works(vendor, call):
    async with served(vendor) as (engine, server):
        server.fault = faults.cut
        with pytest.raises(OneVoiceError):
            await call(vendor[0], engine)
        server.fault = None
        assert await call(vendor[0], engine)


async def test_cancelling_closes_the_call_of_the_vendor(vendor, call):
    async with served(vendor) as (engine, server):
        server.fault = faults.silent
        task = asyncio.create_task(call(vendor[0], engine))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(server.hung_up.is_set)


async def test_without_a_key_the_setting_is_named(vendor):
    described = await make(vendor, "http://127.0.0.1:9", key="").describe()
    assert VENDORS[vendor].key.upper() in described.missing


async def test_describing_an_engine_imports_no_package_of_the_vendor(vendor, monkeypatch):
    monkeypatch.delitem(sys.modules, vendor[1], raising=False)
    described = await make(vendor, "http://127.0.0.1:9").describe()
    assert described.available
    assert KEY not in repr(described)
    assert vendor[1] not in sys.modules


def planted(request: Request) -> Iterator[Request]:
    """The same request with a field that no vendor has, and with a value that its field does not take."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        text = next(name for name in ("text", "input") if name in request.json)
        for name in ("planted", text):
            yield replace(request, body=json.dumps({**request.json, name: 7}).encode())
    if kind.startswith("multipart/form-data"):
        for name, value in (("planted", b"1"), ("timestamp_granularities[]", b"planted"), ("num_speakers", b"many")):
            boundary = kind.partition("boundary=")[2].encode()
            part = b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary, name.encode(), value)
            yield replace(request, body=part + request.body)
    if request.query:
        for fields in ({"planted": "1"}, dict.fromkeys(request.query, "planted")):
            yield replace(request, query={**request.query, **fields})


async def test_a_request_that_the_vendor_does_not_publish_is_refused(vendor, call):
    async with served(vendor) as (engine, server):
        await call(vendor[0], engine)
    api, good = VENDORS[vendor].api, server.requests[0]
    api(good)
    wrong = list(planted(good))
    assert len(wrong) >= 2
    for request in wrong:
        with pytest.raises((jsonschema.ValidationError, pydantic.ValidationError)):
            api(request)


async def test_an_engine_that_sends_what_its_vendor_refuses_does_not_pass():
    with pytest.raises(AssertionError):  # noqa: PT012 - the server finds it at its end
        async with served(("synthesis", "fish")) as (_engine, server), httpx.AsyncClient() as client:
            headers = {"authorization": f"Bearer {KEY}", "model": "s1"}
            await client.post(f"{server.url}/v1/tts", json={"text": "Hola", "planted": 1}, headers=headers)
    assert "planted" in server.problems[0]


@pytest.mark.parametrize("vendor", PUBLISHED)
def test_the_schemas_are_of_the_packages_that_are_installed(vendor):
    name, _, version = PUBLISHED[vendor].package.partition(" ")
    assert not name or importlib.metadata.version(name) == version
    assert PUBLISHED[vendor].api
    assert {name for _, name in VENDORS} <= set(PUBLISHED)
