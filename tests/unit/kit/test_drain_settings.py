"""Services whose calls are long give them more time to finish at the end."""

from __future__ import annotations

import pytest

from onevoice_kit.settings import GrpcServerSettings
from services.asr.settings import AsrSettings
from services.billing.settings import BillingSettings
from services.mixer.settings import MixerSettings
from services.orchestrator.settings import OrchestratorSettings


def test_recognition_finishes_a_chunk_and_the_mixer_a_mix():
    short, chunk, mix = (kind().grpc_drain_grace_s for kind in (GrpcServerSettings, AsrSettings, MixerSettings))
    assert short < chunk < mix
    assert AsrSettings().asr_chunk_ms / 1000 < chunk


@pytest.mark.parametrize("kind", [AsrSettings, MixerSettings, BillingSettings])
def test_the_environment_decides_for_each_service(monkeypatch, kind):
    monkeypatch.setenv("GRPC_DRAIN_GRACE_S", "7")
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    assert kind().grpc_drain_grace_s == 7.0


def test_a_worker_gives_up_its_steps_before_its_process_ends(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    settings = OrchestratorSettings()
    assert settings.worker_grace_s < settings.grpc_drain_grace_s
