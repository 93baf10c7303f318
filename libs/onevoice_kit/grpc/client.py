"""Connections to services: balanced over replicas, retried, kept alive, never without a deadline."""

from __future__ import annotations

import json

import grpc

from onevoice_kit.grpc.channel import Channel
from onevoice_kit.grpc.identity import signing_tokens
from onevoice_kit.grpc.transport import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, client_credentials
from onevoice_kit.settings import ClientSettings


def connect(target: str, settings: ClientSettings | None = None, *, caller: str = "") -> grpc.aio.Channel:
    """
    A channel to `host:port` (or any gRPC target URI); connects on first use, close it when done.

    Calls need `timeout=` seconds, else `Internal` (reason `deadline_missing`); an enclosing deadline shortens it.
    They raise kit errors, carry the trace on, and are repeated while they end UNAVAILABLE: all our methods are
    idempotent. Call it within the event loop. Settings default to the environment's; where they hold a secret or keys,
    every call proves that it comes from `caller`, the name of this service in the tables of those it calls.
    """
    settings = settings or ClientSettings()
    address = target if ":/" in target or target.startswith(("unix:", "ipv4:", "ipv6:", "dns:")) else f"dns:///{target}"
    credentials = client_credentials(settings)
    options = _options(settings)
    tokens = signing_tokens(settings) if caller else None
    if credentials is None:
        return Channel(grpc.aio.insecure_channel(address, options=options), caller, tokens)
    return Channel(grpc.aio.secure_channel(address, credentials, options=options), caller, tokens)


def _options(settings: ClientSettings) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.service_config", _service_config(settings.grpc_client_max_attempts)),
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


def _service_config(max_attempts: int) -> str:
    """https://github.com/grpc/grpc/blob/master/doc/service_config.md"""
    config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if max_attempts > 1:
        retry = {
            "maxAttempts": max_attempts,
            "initialBackoff": "0.2s",
            "maxBackoff": "2s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config["methodConfig"] = [{"name": [{}], "retryPolicy": retry}]
    return json.dumps(config)
