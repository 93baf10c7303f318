"""An authority that signs certificates for servers and clients on 127.0.0.1."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onevoice_kit.settings import ClientSettings


@dataclass
class Pair:
    """A certificate and its key on disk."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates that are valid for an hour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        ca = self._builder(self.name, self.private).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.cert = folder / "ca.pem"
        self.cert.write_bytes(self._signed(ca))

    def pair(self, name: str, dns: Sequence[str] = ()) -> Pair:
        """A certificate with `name` as its common name and `dns` as alternative names; a server's without."""
        private = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        alternative = x509.SubjectAlternativeName(names or [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        pair.cert.write_bytes(self._signed(self._builder(subject, private).add_extension(alternative, critical=False)))
        pair.key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def server(self) -> dict[str, Path]:
        """Settings of a server that asks clients for certificates of this authority."""
        pair = self.pair("server")
        return {"grpc_tls_cert": pair.cert, "grpc_tls_key": pair.key, "grpc_tls_client_ca": self.cert}

    def client(self, name: str, **settings: Any) -> ClientSettings:
        """Settings of a client that shows a certificate with this alternative name."""
        pair = self.pair(f"client-{name}", [name])
        return ClientSettings(
            grpc_client_tls_ca=self.cert, grpc_client_tls_cert=pair.cert, grpc_client_tls_key=pair.key, **settings
        )

    def _builder(self, subject: x509.Name, private: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self.private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
