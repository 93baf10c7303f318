"""AWS clients that live as long as the process, and AWS's failures as errors of the kit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Generic, TypeVar

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header

from onevoice_kit.errors import Internal, OneVoiceError, Unavailable
from onevoice_kit.settings import AwsSettings

ClientT = TypeVar("ClientT")
_PASSING = {"Throttling", "ThrottlingException", "RequestThrottled", "SlowDown", "RequestTimeout", "OverLimit"}
"""Codes of a 4xx answer that another attempt may cure."""


class AwsClient(Generic[ClientT]):
    """One client of one service, opened when first used and kept until `close`."""

    def __init__(self, service: str, settings: AwsSettings) -> None:
        self._service = service
        self._settings = settings
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._client: ClientT | None = None

    async def get(self) -> ClientT:
        """The client."""
        async with self._opening:
            if self._client is None:
                client: Any = await self._stack.enter_async_context(_create(self._service, self._settings))
                # Asking for leave to send a body is answered by no timeout: aiohttp waits for the leave for ever.
                client.meta.events.unregister("before-call.s3", add_expect_header)
                self._client = client
            return self._client

    async def close(self) -> None:
        """Gives its connections back; a later `get` opens a new one."""
        async with self._opening:
            self._client = None
            await self._stack.aclose()


def _create(service: str, settings: AwsSettings) -> Any:
    keys: dict[str, str | None] = {}
    if not settings.aws_use_iam_role:
        secret = settings.aws_secret_access_key
        keys["aws_access_key_id"] = settings.aws_access_key_id
        keys["aws_secret_access_key"] = secret.get_secret_value() if secret else None
    config = AioConfig(
        connect_timeout=settings.aws_connect_timeout_s,
        read_timeout=settings.aws_read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": settings.aws_max_attempts},
        max_pool_connections=50,
        signature_version="s3v4" if service == "s3" else None,
        # A local stand-in has no host name per bucket.
        s3={"addressing_style": "path" if settings.aws_endpoint_url else "auto"},
    )
    session: Any = get_session()
    return session.create_client(
        service, region_name=settings.aws_region, endpoint_url=settings.aws_endpoint_url, config=config, **keys
    )


@contextmanager
def aws_errors(subject: str, known: Callable[[str], OneVoiceError | None] = lambda _code: None) -> Iterator[None]:
    """
    Raises the kit's errors instead of AWS's. `known` gives the error for a code of the answer, or None.

    What another attempt may cure is `Unavailable` (reason `{subject}_unavailable`); what is refused for good is
    `Internal` (reason `{subject}_refused`), because our request or our rights are wrong then, not the user's input.
    """
    try:
        yield
    except ClientError as error:
        raise _translated(error, subject, known) from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"The {subject} does not answer.", reason=f"{subject}_unavailable") from error


def _translated(error: ClientError, subject: str, known: Callable[[str], OneVoiceError | None]) -> OneVoiceError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if (found := known(code)) is not None:
        return found
    if status >= 500 or code in _PASSING:
        return Unavailable(f"The {subject} does not answer.", reason=f"{subject}_unavailable")
    return Internal(f"The {subject} refused a request.", reason=f"{subject}_refused", details={"code": code})
