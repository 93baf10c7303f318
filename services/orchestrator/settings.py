"""Settings of the orchestrator."""

from __future__ import annotations

import os

from pydantic import Field

from onevoice_kit.settings import DatabaseSettings, GrpcServerSettings, NotifySettings, QueueSettings, StorageSettings


class OrchestratorSettings(GrpcServerSettings, StorageSettings, QueueSettings, NotifySettings, DatabaseSettings):
    """Environment variables of the orchestrator."""

    asr_address: str = "localhost:50051"
    translate_address: str = "localhost:50052"
    tts_address: str = "localhost:50053"
    mixer_address: str = "localhost:50054"
    billing_address: str = "localhost:50055"

    worker_max_jobs: int = Field(default=2, ge=1)
    """Jobs this process works on at the same time."""
    worker_lease_s: float = 120.0
    worker_receipt_s: float = 30.0
    """
    Time for which a message is hidden at receipt; the worker then hides it as long as the lease. So a message that SQS
    hands to a poll that was cut off comes back soon.
    """
    worker_renew_s: float = 30.0
    """Time between renewals of a job's lease and its message's visibility; two missed renewals end the work."""
    worker_cancel_poll_s: float = 1.0
    """Time between a running job's checks for a cancel."""
    worker_grace_s: float = 15.0
    """After SIGTERM, how long running steps may take to finish before they are abandoned."""
    worker_max_attempts: int = 5
    """Claims of a job that may end in an unknown error or with a dead worker; waiting for a service is none."""
    worker_retry_budget_s: float = Field(default=10.0, ge=0)
    """Time in which a running job retries a step; then it gives its slot back and waits."""
    worker_wait_min_s: float = Field(default=5.0, ge=0)
    worker_wait_max_s: float = Field(default=60.0, ge=0)
    """Bounds of the pause before a job that waits for a service is retried; it grows with the time waited."""

    sweep_interval_s: float = Field(default=60.0, gt=0)
    """Time between each process's searches for stuck jobs."""
    sweep_stuck_after_s: float = Field(default=900.0, ge=0)
    """A job that no worker holds and whose message was sent that long ago gets another one."""
    sweep_reservations_after_s: float = Field(default=3_600.0, ge=0)
    """
    Credits reserved so long ago under which no job runs are given back. Well above the gateway's
    `IDEMPOTENCY_RUNNING_S`: by then a submission has made its job, or is given up.
    """
    sweep_forget_workers_s: float = Field(default=86_400.0, ge=0)
    """Workers without a heartbeat for so long are removed from the table."""

    notify_poll_s: float = Field(default=5.0, gt=0)
    """Time between each process's searches for mail and alerts to send."""

    max_concurrent_transcribe: int = Field(default=2 * (os.cpu_count() or 2), ge=1)
    """Chunks of one job in recognition at the same time."""
    max_concurrent_translate: int = Field(default=4, ge=1)
    max_concurrent_tts: int = Field(default=4, ge=1)
    max_concurrent_mixer: int = Field(default=2, ge=1)

    default_source_language: str = "en"
    """Taken where neither the user nor the file states the language."""
    duck_gain_db: float = Field(default=-22.0, le=0)
    """Gain of the original under a dubbed line, where no separated background is at hand."""
    separated_gain_db: float = Field(default=-6.0, le=0)
    """Gain of the separated background under a dubbed line (ADR 037)."""

    @property
    def receipt_visibility_s(self) -> int:
        """Time for which a message is hidden at receipt, whole seconds; never longer than a lease lasts."""
        return max(1, int(min(self.worker_receipt_s, self.worker_lease_s)))

    @property
    def stage_limits(self) -> dict[str, int]:
        """Steps of one job that may run at the same time, by stage."""
        return {
            "asr": 3,
            "transcribe": self.max_concurrent_transcribe,
            "translate": self.max_concurrent_translate,
            "tts": self.max_concurrent_tts,
            "mixer": self.max_concurrent_mixer,
            "store": 8,
            "billing": 1,
        }
