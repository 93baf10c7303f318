"""Sizes that both ends of a connection agree on, and their TLS credentials."""

from __future__ import annotations

from pathlib import Path

import grpc

from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.settings import ClientSettings, GrpcServerSettings

MAX_MESSAGE_BYTES = 4 << 20
"""Messages carry references and text, never media."""
MAX_METADATA_BYTES = 32 << 10
"""Room for the details of an error."""


def server_credentials(settings: GrpcServerSettings) -> grpc.ServerCredentials | None:
    """
    TLS with `cert` and `key`; with `client_ca` as well, clients must show a certificate of it. None without any.

    Raises `PreconditionFailed` (reasons `tls_incomplete`, `tls_unreadable`).
    """
    cert, key, client_ca = settings.grpc_tls_cert, settings.grpc_tls_key, settings.grpc_tls_client_ca
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise PreconditionFailed("TLS needs both a certificate and its key.", reason="tls_incomplete")
    return grpc.ssl_server_credentials(
        [(_read(key), _read(cert))],
        root_certificates=_read(client_ca) if client_ca else None,
        require_client_auth=client_ca is not None,
    )


def client_credentials(settings: ClientSettings) -> grpc.ChannelCredentials | None:
    """TLS that trusts `ca` only, showing `cert` where given; None without `ca`. Errors as `server_credentials`."""
    ca, cert, key = settings.grpc_client_tls_ca, settings.grpc_client_tls_cert, settings.grpc_client_tls_key
    if ca is None and cert is None and key is None:
        return None
    if ca is None or (cert is None) != (key is None):
        raise PreconditionFailed(
            "A TLS client needs the authority, and a certificate with its key.", reason="tls_incomplete"
        )
    return grpc.ssl_channel_credentials(
        root_certificates=_read(ca),
        private_key=_read(key) if key else None,
        certificate_chain=_read(cert) if cert else None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PreconditionFailed(f"{path.name} cannot be read: {error.strerror}.", reason="tls_unreadable") from error
