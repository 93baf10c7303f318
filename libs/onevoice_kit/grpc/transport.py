"""Sizes that both ends of a connection agree on, and their TLS credentials."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import grpc

from onevoice_kit.errors import PreconditionFailed
from onevoice_kit.settings import ClientSettings, GrpcServerSettings

_log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 4 << 20
"""Messages carry references and text, never media."""
MAX_METADATA_BYTES = 32 << 10
"""Room for the details of an error."""


def server_credentials(settings: GrpcServerSettings) -> grpc.ServerCredentials | None:
    """
    TLS with `cert` and `key`; with `client_ca` as well, clients must show a certificate of it. None without any.

    Files that change are read again at the next connection, so certificates rotate without a restart. Raises
    `PreconditionFailed` (reasons `tls_incomplete`, `tls_unreadable`).
    """
    cert, key, client_ca = settings.grpc_tls_cert, settings.grpc_tls_key, settings.grpc_tls_client_ca
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise PreconditionFailed("TLS needs both a certificate and its key.", reason="tls_incomplete")
    files = _Certificates(cert, key, client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        files.changed,  # type: ignore[arg-type]  # None is its way to keep them, which the types do not have
        require_client_authentication=client_ca is not None,
    )


class _Certificates:
    """The files of a server's certificates."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._served: tuple[bytes, ...] = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Raises `PreconditionFailed` (reason `tls_unreadable`)."""
        self._served = self._contents()
        key, cert, *client_ca = self._served
        return grpc.ssl_server_certificate_configuration([(key, cert)], client_ca[0] if client_ca else None)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """gRPC's hook, once per connection, in a thread of its own; None keeps the certificates that are served."""
        try:
            return None if self._contents() == self._served else self.read()
        except PreconditionFailed as error:
            _log.error("the certificates stay as they were: %s", error.message)
            return None

    def _contents(self) -> tuple[bytes, ...]:
        return tuple(_read(path) for path in (self._key, self._cert, self._client_ca) if path is not None)


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


class FileWatch:
    """Notices that one of some small files was written or replaced."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._seen = self._state()

    def changed(self) -> bool:
        """True once for each change."""
        before, self._seen = self._seen, self._state()
        return self._seen != before

    def _state(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_facts(path) for path in self._paths)


def _facts(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PreconditionFailed(f"{path.name} cannot be read: {error.strerror}.", reason="tls_unreadable") from error
