"""Names of callers: from a client's certificate, or from a token made with a shared secret (ADR 015)."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onevoice_kit.errors import PreconditionFailed, Unauthenticated
from onevoice_kit.settings import GrpcIdentitySettings, GrpcServerSettings

CALLER_KEY, TOKEN_KEY, SCOPE_KEY = "x-onevoice-caller", "x-onevoice-token", "x-onevoice-scope"
"""Metadata: name of the caller, proof of it, and the objects it may name in this call (`context.object_scope`)."""

UNIDENTIFIED, INVALID, EXPIRED = "caller_unidentified", "caller_token_invalid", "caller_token_expired"
NOT_ALLOWED, NOT_DECLARED = "caller_not_allowed", "method_not_declared"
CALLER_REASONS = frozenset({UNIDENTIFIED, INVALID, EXPIRED, NOT_ALLOWED, NOT_DECLARED})
"""Reasons for which a server refuses a caller as such; the caller's deployment is wrong then, not its input."""

_MIN_SECRET = 32
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


class Tokens:
    """
    Makes and checks tokens: `v1.<Unix seconds>.<HMAC-SHA256>` over caller, method, scope, time and request.

    A copied token repeats the same request within the window and does nothing else; every method is idempotent.
    """

    def __init__(
        self, secrets: Sequence[bytes], window_s: float = 120.0, clock: Callable[[], float] = time.time
    ) -> None:
        """`secrets`: the first signs, each is accepted, so that they can be rotated. `clock` in Unix seconds."""
        self._secrets = tuple(secrets)
        self._window_s = window_s
        self._clock = clock

    def metadata(self, calling: Calling) -> tuple[tuple[str, str], ...]:
        """The metadata that proves a call's caller and scope."""
        seconds = str(int(self._clock()))
        token = f"{_VERSION}.{seconds}.{_digest(self._secrets[0], calling, seconds)}"
        return ((CALLER_KEY, calling.caller), (TOKEN_KEY, token))

    def check(self, calling: Calling, token: str) -> None:
        """Raises `Unauthenticated` (`caller_token_invalid`, `caller_token_expired`) for a token that proves nothing."""
        version, _, rest = token.partition(".")
        seconds, _, digest = rest.partition(".")
        given = digest.encode()
        proven = [hmac.compare_digest(_digest(one, calling, seconds).encode(), given) for one in self._secrets]
        if version != _VERSION or not any(proven):
            raise Unauthenticated("The caller's token is not valid.", reason=INVALID)
        if abs(self._clock() - int(seconds)) > self._window_s:
            raise Unauthenticated("The caller's token has expired; compare the clocks.", reason=EXPIRED)


def _digest(secret: bytes, calling: Calling, seconds: str) -> str:
    request = hashlib.sha256(calling.request).hexdigest()
    facts = "\n".join((_VERSION, seconds, calling.caller, calling.method, calling.scope, request))
    return hmac.new(secret, facts.encode(), hashlib.sha256).hexdigest()


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


def identification(settings: GrpcServerSettings) -> Identify | None:
    """
    The way in which a server learns names: certificates under mutual TLS, else tokens where it has a secret.

    None in development on loopback without either: callers stay unidentified. Elsewhere that raises
    `PreconditionFailed` (reason `callers_unidentified`).
    """
    if settings.grpc_tls_client_ca is not None:
        return certificate_names
    if secrets := shared_secrets(settings):
        return token_names(Tokens(secrets, settings.grpc_token_window_s))
    if settings.environment == "development" and is_loopback(settings.grpc_host):
        return None
    raise PreconditionFailed(
        f"A server on {settings.grpc_host} would trust every caller. Set GRPC_SHARED_SECRETS; or GRPC_TLS_CERT, "
        "GRPC_TLS_KEY and GRPC_TLS_CLIENT_CA; or, in development, GRPC_HOST=127.0.0.1.",
        reason="callers_unidentified",
    )


def is_loopback(host: str) -> bool:
    """True for `localhost` and loopback addresses."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
