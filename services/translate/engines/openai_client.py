"""Chat completions of an OpenAI-compatible endpoint: bounded answers, and errors in the classes of the kit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    OpenAIError,
)

from onevoice_kit.engines.base import Measure, Use
from onevoice_kit.engines.vendor import retry_after_s
from onevoice_kit.errors import Busy, DeadlineExceeded, OneVoiceError, PreconditionFailed, Unavailable

_NO_KEY = "none"
"""Local servers need no key, but the SDK does, and would take one from the environment."""


class Unusable(Exception):
    """An answer that holds no translations: a refusal of the model, or text of another form."""

    def __init__(self, *, refused: bool) -> None:
        """`refused` is True where the model or a content filter declined."""
        super().__init__("refused" if refused else "unusable")
        self.refused = refused


class _TooLarge(OpenAIError):
    """The body passed the bound, or is compressed, so that its length cannot be known."""


@dataclass(slots=True)
class Meter:
    """The tokens that answers report; unusable answers cost as well."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def use(self) -> Use:
        """The tokens as a use of the engine."""
        return {Measure.INPUT_TOKENS: self.input_tokens, Measure.OUTPUT_TOKENS: self.output_tokens}

    def read(self, body: bytes) -> None:
        """Adds those of an answer; a server of one's own may report none."""
        try:
            usage = json.loads(body)["usage"]
            given = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return
        self.input_tokens += max(0, given[0])
        self.output_tokens += max(0, given[1])


class ChatClient:
    """Requests to one model, at most `concurrency` at once. Neither they nor the answers are ever logged."""

    def __init__(
        self, base_url: str, key: str, model: str, *, timeout_s: float, max_bytes: int, concurrency: int
    ) -> None:
        """`timeout_s` is the longest silence of a connection; the caller owns the deadline of its whole work."""
        self._model, self._max_bytes = model, max_bytes
        self._places = asyncio.Semaphore(concurrency)
        # A redirect would carry the transcript to another host.
        http = DefaultAsyncHttpxClient(
            follow_redirects=False, headers={"Accept-Encoding": "identity"}, event_hooks={"response": [self._bound]}
        )
        self._sdk = AsyncOpenAI(
            api_key=key or _NO_KEY, base_url=base_url, max_retries=0, timeout=timeout_s, http_client=http
        )

    async def ask(
        self, system: str, data: Mapping[str, object], name: str, schema: Mapping[str, object], meter: Meter
    ) -> Any:
        """
        The value of an answer in the form of `schema`, as far as the server enforces it; check what comes. `meter`
        reads what it cost.

        Raises `Unusable`, and `PreconditionFailed`, `Busy`, `Unavailable` or `DeadlineExceeded` for what the endpoint
        reports.
        """
        messages: Sequence[Any] = [
            {"role": "system", "content": system},
            {"role": "user", "content": json.dumps(data, ensure_ascii=False)},
        ]
        form: Any = {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
        try:
            async with self._places:
                raw = await self._sdk.chat.completions.with_raw_response.create(
                    model=self._model, messages=messages, response_format=form
                )
        except (OpenAIError, httpx2.HTTPError) as error:
            # The vendor's message may repeat the request, so it is not part of our error nor of its traceback.
            raise _error(error) from None
        meter.read(raw.content)
        return _value(_content(raw.content))

    async def close(self) -> None:
        """Closes the connections."""
        await self._sdk.close()

    async def _bound(self, response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _TooLarge
        response.stream = _Bounded(response.stream, self._max_bytes)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, left: int) -> None:
        self._stream, self._left = stream, left

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._stream:
            self._left -= len(block)
            if self._left < 0:
                raise _TooLarge
            yield block

    async def aclose(self) -> None:
        await self._stream.aclose()


def _content(body: bytes) -> str:
    """The text of the first choice."""
    try:
        choice = json.loads(body)["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        content, refusal = message.get("content"), message.get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Unavailable("The engine “openai” got an answer of another form.", reason="engine_answer") from None
    if refusal or finish == "content_filter":
        raise Unusable(refused=True)
    if not isinstance(content, str):
        raise Unusable(refused=False)
    return content


def _value(content: str) -> Any:
    """The JSON value in the text of a model; models without structured output wrap it in thoughts and fences."""
    text = content.rpartition("</think>")[2]
    try:
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except (ValueError, RecursionError):
        raise Unusable(refused=False) from None


def _error(error: Exception) -> Exception:
    if isinstance(error, APIStatusError):
        return _status_error(error)
    if isinstance(error, APITimeoutError):
        return DeadlineExceeded("The engine “openai” does not answer in time.", reason="engine_timeout")
    if isinstance(error, _TooLarge):
        return Unavailable("The engine “openai” got an answer that is too large.", reason="engine_answer")
    if isinstance(error, APIConnectionError | httpx2.HTTPError):
        return Unavailable("The engine “openai” cannot reach its endpoint.", reason="engine_failed")
    return Unavailable("The engine “openai” failed.", reason="engine_failed")


def _status_error(error: APIStatusError) -> Exception:
    status, code = error.status_code, error.code or ""
    if code == "content_filter":
        return Unusable(refused=True)
    if status == 429 and code == "insufficient_quota":
        return _permanent("has used up its quota at the vendor", "engine_key_refused")
    if status == 429:
        asked = retry_after_s(error.response.headers)
        return Busy("The engine “openai” is at its rate limit.", reason="engine_busy", retry_after=asked)
    if status in (408, 409) or status >= 500:
        message = f"The endpoint of the engine “openai” answered {status}."
        return Unavailable(message, reason="engine_failed", retry_after=retry_after_s(error.response.headers))
    if status in (401, 403):
        return _permanent("is refused: its key is not valid for the endpoint", "engine_key_refused")
    if status == 404:
        return _permanent("finds no such endpoint or model", "engine_refused")
    return _permanent(f"has its request refused with status {status}", "engine_refused")


def _permanent(what: str, reason: str) -> OneVoiceError:
    return PreconditionFailed(f"The engine “openai” {what}.", reason=reason, details={"engine": "openai"})
