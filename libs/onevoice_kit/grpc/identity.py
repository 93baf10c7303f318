"""Names of callers: from a client's certificate, or from a token made with a key of caller and service (ADR 015)."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import SecretStr

from onevoice_kit.errors import PreconditionFailed, Unauthenticated
from onevoice_kit.settings import ClientSettings, GrpcIdentitySettings, GrpcServerSettings

CALLER_KEY, TOKEN_KEY, SCOPE_KEY = "x-onevoice-caller", "x-onevoice-token", "x-onevoice-scope"
"""Metadata: name of the caller, proof of it, and the objects it may name in this call (`context.object_scope`)."""

UNIDENTIFIED, INVALID, EXPIRED = "caller_unidentified", "caller_token_invalid", "caller_token_expired"
NOT_ALLOWED, NOT_DECLARED = "caller_not_allowed", "method_not_declared"
CALLER_REASONS = frozenset({UNIDENTIFIED, INVALID, EXPIRED, NOT_ALLOWED, NOT_DECLARED})
"""Reasons for which a server refuses a caller as such; the caller's deployment is wrong then, not its input."""

_MIN_SECRET = 32
_PAIRS = 64
"""Pairs of service and caller whose derived keys are kept."""
_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Calling:
    """The facts of a call that a token proves."""

    caller: str
    method: str
    """`/package.Service/Method`."""
    scope: str
    request: bytes
    """As it is sent; empty for a stream of requests."""

    @property
    def service(self) -> str:
        """`package.Service`."""
        return self.method.strip("/").partition("/")[0]


Keys = Callable[[str, str], Sequence[bytes]]
"""Keys of `(service, caller)`: the first signs, each is accepted, so that they can be rotated."""


def server_key(secret: bytes, service: str) -> bytes:
    """The key with which a service (`package.Service`) checks its callers; no other service can be called with it."""
    return hmac.digest(secret, f"{_VERSION}\nserver\n{service}".encode(), "sha256")


def caller_key(key: bytes, caller: str) -> bytes:
    """The key with which one caller signs its calls to the service of this server key."""
    return hmac.digest(key, f"{_VERSION}\ncaller\n{caller}".encode(), "sha256")


def derived_keys(secrets: Sequence[bytes]) -> Keys:
    """The keys of every pair, for a process that holds the secrets of the deployment."""

    @lru_cache(maxsize=_PAIRS)  # the same few for every call; bounded, for a caller may give itself any name
    def keys(service: str, caller: str) -> Sequence[bytes]:
        return tuple(caller_key(server_key(secret, service), caller) for secret in secrets)

    return keys


def process_keys(secrets: Sequence[bytes], served: str, caller: str, called: Sequence[str]) -> dict[str, str]:
    """
    Settings of a process that gets keys instead of the secrets: it can check calls to `served`, and call each of
    `called` as `caller`, and nothing else. Services as `package.Service`.
    """
    own = [(served, server_key(secret, served)) for secret in secrets]
    others = [(service, key) for service in called for key in derived_keys(secrets)(service, caller)]
    return {
        "GRPC_SHARED_SECRETS": "",
        "GRPC_SERVER_KEYS": ",".join(f"{service}={key.hex()}" for service, key in own),
        "GRPC_CALLER_KEYS": ",".join(f"{service}={key.hex()}" for service, key in others),
    }


class Tokens:
    """
    Makes and checks tokens: `v1.<Unix seconds>.<HMAC-SHA256>` over caller, method, scope, time and request.

    A copied token repeats the same request within the window and does nothing else; every method is idempotent.
    """

    def __init__(self, keys: Keys, window_s: float = 120.0, clock: Callable[[], float] = time.time) -> None:
        """`clock` in Unix seconds."""
        self._keys = keys
        self._window_s = window_s
        self._clock = clock

    def metadata(self, calling: Calling) -> tuple[tuple[str, str], ...]:
        """The metadata that proves a call's caller and scope; none without a key for its service."""
        keys = self._keys(calling.service, calling.caller)
        if not keys:
            return ()
        seconds = str(int(self._clock()))
        token = f"{_VERSION}.{seconds}.{_digest(keys[0], calling, seconds)}"
        return ((CALLER_KEY, calling.caller), (TOKEN_KEY, token))

    def check(self, calling: Calling, token: str) -> None:
        """Raises `Unauthenticated` (`caller_token_invalid`, `caller_token_expired`) for a token that proves nothing."""
        version, _, rest = token.partition(".")
        seconds, _, digest = rest.partition(".")
        given = digest.encode()
        keys = self._keys(calling.service, calling.caller)
        proven = [hmac.compare_digest(_digest(key, calling, seconds).encode(), given) for key in keys]
        if version != _VERSION or not any(proven):
            raise Unauthenticated("The caller's token is not valid.", reason=INVALID)
        if abs(self._clock() - int(seconds)) > self._window_s:
            raise Unauthenticated("The caller's token has expired; compare the clocks.", reason=EXPIRED)


def _digest(key: bytes, calling: Calling, seconds: str) -> str:
    request = hashlib.sha256(calling.request).hexdigest()
    facts = "\n".join((_VERSION, seconds, calling.caller, calling.method, calling.scope, request))
    return hmac.new(key, facts.encode(), hashlib.sha256).hexdigest()


Identify = Callable[[Any, Mapping[str, str | bytes], Calling], frozenset[str]]
"""Names under which the caller of `(context, metadata, calling)` is known; raises `Unauthenticated`."""


def certificate_names(context: Any, _metadata: Mapping[str, str | bytes], _calling: Calling) -> frozenset[str]:
    """An `Identify`: the alternative names of the client's certificate, or its common name where it has none."""
    facts: Mapping[str, Iterable[bytes]] = context.auth_context()
    names = facts.get("x509_subject_alternative_name") or facts.get("x509_common_name") or ()
    found = frozenset(name.decode("utf-8", "replace") for name in names)
    if not found:
        raise Unauthenticated("The caller shows no certificate with a name.", reason=UNIDENTIFIED)
    return found


def token_names(tokens: Tokens) -> Identify:
    """An `Identify` that takes the name in the metadata once its token is checked."""

    def names(_context: Any, metadata: Mapping[str, str | bytes], calling: Calling) -> frozenset[str]:
        token = metadata.get(TOKEN_KEY)
        if not calling.caller or not isinstance(token, str):
            raise Unauthenticated("The caller does not identify itself.", reason=UNIDENTIFIED)
        tokens.check(calling, token)
        return frozenset({calling.caller})

    return names


def shared_secrets(settings: GrpcIdentitySettings) -> tuple[bytes, ...]:
    """The secrets of the setting. Raises `PreconditionFailed` (reason `secret_too_short`) under 32 characters."""
    found = [part.strip() for part in settings.grpc_shared_secrets.get_secret_value().split(",") if part.strip()]
    if any(len(secret) < _MIN_SECRET for secret in found):
        raise PreconditionFailed(
            f"GRPC_SHARED_SECRETS holds a secret of fewer than {_MIN_SECRET} characters.", reason="secret_too_short"
        )
    return tuple(secret.encode() for secret in found)


def signing_tokens(settings: ClientSettings) -> Tokens | None:
    """Tokens of a process that calls others; None without secret and keys. Raises as `shared_secrets`, `named_keys`."""
    secrets, keys = shared_secrets(settings), named_keys(settings.grpc_caller_keys)
    if not secrets and not keys:
        return None
    derived = derived_keys(secrets)
    return Tokens(lambda service, caller: keys.get(service) or derived(service, caller), settings.grpc_token_window_s)


def checking_tokens(settings: GrpcServerSettings) -> Tokens | None:
    """Tokens of a process that serves; None without secret and keys. Raises as `shared_secrets`, `named_keys`."""
    secrets, own = shared_secrets(settings), named_keys(settings.grpc_server_keys)
    if not secrets and not own:
        return None
    derived = derived_keys(secrets)

    def accepted(service: str, caller: str) -> Sequence[bytes]:
        return [*(caller_key(key, caller) for key in own.get(service, ())), *derived(service, caller)]

    return Tokens(accepted, settings.grpc_token_window_s)


def named_keys(setting: SecretStr) -> dict[str, list[bytes]]:
    """Keys by service of `service=hexadecimal,…`. Raises `PreconditionFailed` (reason `key_unreadable`)."""
    found: dict[str, list[bytes]] = {}
    for part in filter(None, map(str.strip, setting.get_secret_value().split(","))):
        service, _, digits = part.partition("=")
        try:
            key = bytes.fromhex(digits)
        except ValueError:
            key = b""
        if not service or len(key) < _MIN_SECRET:
            raise PreconditionFailed(
                "A key is not written as `package.Service=` and 32 bytes in hexadecimal.", reason="key_unreadable"
            )
        found.setdefault(service, []).append(key)
    return found


def identification(settings: GrpcServerSettings) -> Identify | None:
    """
    The way in which a server learns names: certificates under mutual TLS, else tokens where it has a secret or keys.

    None in development on loopback without either: callers stay unidentified. Elsewhere that raises
    `PreconditionFailed` (reason `callers_unidentified`).
    """
    if settings.grpc_tls_client_ca is not None:
        return certificate_names
    if (tokens := checking_tokens(settings)) is not None:
        return token_names(tokens)
    if settings.environment == "development" and is_loopback(settings.grpc_host):
        return None
    raise PreconditionFailed(
        f"A server on {settings.grpc_host} would trust every caller. Set GRPC_SHARED_SECRETS "
        "or GRPC_SERVER_KEYS; or GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CLIENT_CA; or, in development, "
        "GRPC_HOST=127.0.0.1.",
        reason="callers_unidentified",
    )


def is_loopback(host: str) -> bool:
    """True for `localhost` and loopback addresses."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
