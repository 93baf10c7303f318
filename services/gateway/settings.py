"""Settings of the gateway."""

from __future__ import annotations

from pydantic import Field

from onevoice_kit.media_exec.limits import MediaLimits
from onevoice_kit.settings import DatabaseSettings, QueueSettings, StorageSettings


class GatewaySettings(DatabaseSettings, StorageSettings, QueueSettings):
    """Environment variables of the gateway."""

    http_host: str = "0.0.0.0"  # noqa: S104 - a container listens on all its interfaces
    http_port: int = 8000
    http_shutdown_grace_s: int = 20
    """Time that running requests have to finish after SIGTERM."""

    http_max_connections: int = Field(default=1000, gt=0)
    """At this many the connection that has waited longest for a request makes room, else a new one gets 503."""
    http_header_timeout_s: float = Field(default=10.0, gt=0)
    """Longest time for the headers of a request."""
    http_body_window_s: float = Field(default=20.0, gt=0)
    http_body_min_bytes_per_s: int = Field(default=8 << 10, ge=1)
    """Slowest body: it must bring this much in every window."""
    http_write_timeout_s: float = Field(default=60.0, gt=0)
    """Longest time for which a client may leave a response unread."""

    asr_address: str = "127.0.0.1:50051"
    translate_address: str = "127.0.0.1:50052"
    tts_address: str = "127.0.0.1:50053"
    mixer_address: str = "127.0.0.1:50054"
    billing_address: str = "127.0.0.1:50055"

    max_upload_bytes: int = Field(default=5 << 30, gt=0)
    """Largest file a client may upload."""
    max_json_bytes: int = Field(default=1 << 20, gt=0)
    """Largest JSON body."""
    max_json_bytes_in_flight: int = Field(default=64 << 20, gt=0)
    """Most JSON that is being received at once; more is answered with 503."""
    storage_quota_bytes: int = Field(default=500 << 30, gt=0)
    """Most bytes of uploads and videos of one user; an account may have a quota of its own."""
    multipart_threshold_bytes: int = Field(default=64 << 20, gt=0)
    """Uploads above this size go in parts."""
    multipart_part_bytes: int = Field(default=16 << 20, ge=5 << 20)
    """Size of a part; grows where a file would need more than 10,000."""
    upload_expires_s: int = Field(default=6 * 3600, gt=0)
    """Validity of the signed requests of an upload."""
    download_expires_s: int = Field(default=3600, gt=0)
    stream_expires_s: int = Field(default=2 * 3600, gt=0)

    max_target_languages: int = Field(default=20, gt=0)
    max_source_duration_s: int = Field(default=4 * 3600, gt=0)
    """Longest source a job takes."""
    media_max_burn_in_pixels: int = Field(default=MediaLimits().max_burn_in_pixels, gt=0)
    """Width times height of the largest picture that captions are burned into; the mixers have the same setting."""

    catalogue_ttl_s: float = Field(default=60.0, ge=0)
    """Lifetime of the cached engines and voices of a stage."""
    sse_heartbeat_s: float = Field(default=15.0, gt=0)
    """A comment is sent on an idle event stream at this interval."""
    idempotency_running_s: int = Field(default=900, gt=0)
    """After this time a call that never finished is taken for dead and may be repeated."""
    idempotency_keep_s: int = Field(default=24 * 3600, gt=0)
    """Lifetime of the stored response to an `Idempotency-Key`."""
    housekeeping_interval_s: float = Field(default=60.0, gt=0)
