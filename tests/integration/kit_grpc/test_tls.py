"""Mutual TLS: both ends show a certificate of the same authority, or there is no call."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onevoice.tts.v1 import tts_service_pb2, tts_service_pb2_grpc
from onevoice_kit.errors import PreconditionFailed, Unavailable
from onevoice_kit.grpc.client import connect
from onevoice_kit.grpc.tls import client_credentials, server_credentials
from onevoice_kit.settings import ClientSettings, GrpcServerSettings

REQUEST = tts_service_pb2.SynthesizeRequest(voice="heard")


@dataclass
class Pair:
    """A certificate and its key on disk."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates for 127.0.0.1, valid for an hour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        ca = self._builder(self.name, self.private).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.cert = folder / "ca.pem"
        self.cert.write_bytes(self._signed(ca))

    def pair(self, name: str) -> Pair:
        private = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        pair.cert.write_bytes(self._signed(self._builder(subject, private).add_extension(alternative, critical=False)))
        pair.key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

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


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stage_with_tls(authority, open_stage):
    pair = authority.pair("server")
    return open_stage(grpc_tls_cert=pair.cert, grpc_tls_key=pair.key, grpc_tls_client_ca=authority.cert)


async def ask(address: str, settings: ClientSettings) -> str:
    async with connect(address, settings) as channel:
        stub = tts_service_pb2_grpc.TtsServiceStub(channel)
        return (await stub.Synthesize(REQUEST, timeout=20)).voice


async def test_a_client_with_a_certificate_of_the_authority_is_served(authority, stage_with_tls):
    pair = authority.pair("client")
    settings = ClientSettings(
        grpc_client_tls_ca=authority.cert, grpc_client_tls_cert=pair.cert, grpc_client_tls_key=pair.key
    )
    async with stage_with_tls as stage:
        assert await ask(stage.server.address, settings) == "heard"


async def test_a_client_without_a_certificate_is_refused(authority, stage_with_tls):
    settings = ClientSettings(grpc_client_tls_ca=authority.cert, grpc_client_max_attempts=1)
    async with stage_with_tls as stage:
        with pytest.raises(Unavailable):
            await ask(stage.server.address, settings)


async def test_a_client_without_tls_is_refused(stage_with_tls):
    async with stage_with_tls as stage:
        with pytest.raises(Unavailable):
            await ask(stage.server.address, ClientSettings(grpc_client_max_attempts=1))


def test_half_a_configuration_is_refused_at_the_start(authority, tmp_path):
    pair = authority.pair("server")
    with pytest.raises(PreconditionFailed) as server:
        server_credentials(GrpcServerSettings(grpc_tls_cert=pair.cert))
    with pytest.raises(PreconditionFailed) as client:
        client_credentials(ClientSettings(grpc_client_tls_cert=pair.cert, grpc_client_tls_key=pair.key))
    with pytest.raises(PreconditionFailed) as missing:
        server_credentials(GrpcServerSettings(grpc_tls_cert=pair.cert, grpc_tls_key=tmp_path / "none.key"))
    reasons = [caught.value.reason for caught in (server, client, missing)]
    assert reasons == ["tls_incomplete", "tls_incomplete", "tls_unreadable"]
