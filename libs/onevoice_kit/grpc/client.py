"""Connections to services: balanced over replicas, kept alive, never without a deadline."""

from __future__ import annotations

import json

import grpc

from onevoice_kit.grpc.channel import Channel
from onevoice_kit.grpc.identity import signing_tokens
from onevoice_kit.grpc.transport import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, FileWatch, client_credentials
from onevoice_kit.settings import ClientSettings

_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
"""
https://github.com/grpc/grpc/blob/master/doc/service_config.md: without a retry policy gRPC repeats only a call that
never reached a server (“transparent retry”). Every other retry belongs to the caller, which has the budget (ADR 008).
"""


def connect(target: str, settings: ClientSettings | None = None, *, caller: str = "") -> grpc.aio.Channel:
    """
    A channel to `host:port` (or any gRPC target URI); connects on first use, close it when done.

    Calls need `timeout=` seconds, else `Internal` (reason `deadline_missing`); an enclosing deadline shortens it.
    They raise kit errors and carry the trace on. None is repeated here: the caller retries, within one budget. Call
    it within the event loop. Certificates that change on disk are used from the next call on. Settings default to the
    environment's; where they hold a secret or keys, every call proves that it comes from `caller`, the name of this
    service in the tables of those it calls.
    """
    settings = settings or ClientSettings()
    address = target if ":/" in target or target.startswith(("unix:", "ipv4:", "ipv6:", "dns:")) else f"dns:///{target}"
    options = _options(settings)

    def connections() -> grpc.aio.Channel:
        credentials = client_credentials(settings)
        if credentials is None:
            return grpc.aio.insecure_channel(address, options=options)
        return grpc.aio.secure_channel(address, credentials, options=options)

    files = (settings.grpc_client_tls_ca, settings.grpc_client_tls_cert, settings.grpc_client_tls_key)
    certificates = FileWatch([path for path in files if path is not None])
    return Channel(connections, certificates, caller, signing_tokens(settings) if caller else None)


def _options(settings: ClientSettings) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.service_config", _SERVICE_CONFIG),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", int(settings.grpc_client_keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.grpc_client_keepalive_timeout_s * 1000)),
        # The same for gRPC's other pings; while one of them is under way, gRPC waits for it alone, a minute by default.
        ("grpc.http2.ping_timeout_ms", int(settings.grpc_client_keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A replaced replica is back in a second; the default waits up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # Services are reached directly, also where the machine's way to the internet is a proxy.
        ("grpc.enable_http_proxy", 0),
        # Else channels of one process share connections by address, and a new one inherits the back-off of an old one
        # whose server is gone although another listens there by now.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if settings.grpc_client_tls_server_name:
        options.append(("grpc.ssl_target_name_override", settings.grpc_client_tls_server_name))
    return options
