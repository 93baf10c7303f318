"""The vendors' packages as clients: imported and made at the first call, closed with their connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onevoice_kit.engines.vendor import Vendor
from onevoice_kit.settings import DeepgramSettings, ElevenLabsSettings, OpenAiSettings


class Client:
    """A client of one vendor's package, made when first needed."""

    def __init__(self, make: Callable[[], tuple[Any, Any]]) -> None:
        """`make` returns the package's client and the HTTP client under it."""
        self._make = make
        self._made: tuple[Any, Any] | None = None

    def get(self) -> Any:
        """The package's client."""
        if self._made is None:
            self._made = self._make()
        return self._made[0]

    async def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        if self._made is not None:
            http, self._made = self._made[1], None
            await http.aclose()


def openai_client(settings: OpenAiSettings, vendor: Vendor) -> Client:
    """Of the package `openai`."""

    def make() -> tuple[Any, Any]:
        import httpx2
        from openai import AsyncOpenAI

        http = vendor.client(httpx2)
        key, url = settings.openai_api_key.get_secret_value(), settings.openai_audio_base_url
        return AsyncOpenAI(api_key=key, base_url=url, max_retries=0, http_client=http), http

    return Client(make)


def elevenlabs_client(settings: ElevenLabsSettings, vendor: Vendor) -> Client:
    """Of the package `elevenlabs`; each call needs `request_options=NO_RETRY`."""

    def make() -> tuple[Any, Any]:
        import httpx
        from elevenlabs.client import AsyncElevenLabs

        http = vendor.client(httpx)
        key, url = settings.elevenlabs_api_key.get_secret_value(), settings.elevenlabs_base_url
        return AsyncElevenLabs(api_key=key, base_url=url, httpx_client=http), http

    return Client(make)


def deepgram_client(settings: DeepgramSettings, vendor: Vendor) -> Client:
    """Of the package `deepgram`."""

    def make() -> tuple[Any, Any]:
        import httpx
        from deepgram import AsyncDeepgramClient
        from deepgram.environment import DeepgramClientEnvironment

        http = vendor.client(httpx)
        key, url = settings.deepgram_api_key.get_secret_value(), settings.deepgram_base_url
        place = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
        return AsyncDeepgramClient(api_key=key, environment=place, max_retries=0, httpx_client=http), http

    return Client(make)


def http_client(vendor: Vendor) -> Client:
    """Plain HTTP, for a vendor without a package that is fit for use, and for servers of one's own."""

    def make() -> tuple[Any, Any]:
        import httpx

        http = vendor.client(httpx)
        return http, http

    return Client(make)


NO_RETRY = {"max_retries": 0}
"""For packages whose retries are an option of each call: a repeated upload of theirs loses its fields."""
