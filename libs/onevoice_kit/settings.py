"""Base settings: environment variables only, secrets typed, read once at the start of a process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from onevoice_kit.engines.base import Prices


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Names in order, separated by commas in the environment."""


class Settings(BaseSettings):
    """The settings of every process. Services add their own fields in their `settings.py`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "production"] = "development"
    log_level: str = "INFO"
    log_format: Literal["json", "text"] = "json"
    metrics_port: int = 0
    """Port of the Prometheus exporter; 0 turns it off."""
    metrics_host: str = "127.0.0.1"
    """Address that the exporter binds to; a container whose metrics are collected from outside needs `0.0.0.0`."""
    otel_exporter_otlp_endpoint: str = ""
    """Address of the traces' collector; empty turns export off."""


class GrpcIdentitySettings(Settings):
    """A process that proves its name to others, or checks theirs (ADR 015)."""

    grpc_shared_secrets: SecretStr = SecretStr("")
    """
    Secrets of at least 32 characters, separated by commas, from which every key follows: the first signs, each is
    accepted. To rotate: add the new one behind, then put it first, then remove the old one. A process that holds one
    can pose as any service; `GRPC_SERVER_KEYS` and `GRPC_CALLER_KEYS` in its place cannot be used so.
    """
    grpc_token_window_s: float = Field(default=120.0, gt=0)
    """A token is accepted this long before and after its time: how far clocks may differ, and calls may wait."""


class GrpcServerSettings(GrpcIdentitySettings):
    """A process that serves gRPC."""

    grpc_host: str = "127.0.0.1"
    """Outside loopback the server starts only with mutual TLS or a shared secret."""
    grpc_port: int = 50051
    """0 takes a free port."""
    grpc_reflection: bool = True
    """Only in development on loopback; elsewhere it is off in any case."""
    grpc_server_keys: SecretStr = SecretStr("")
    """`package.Service=key` of the served service, as `onevoice keys` prints it; several, by commas, to rotate."""
    grpc_max_concurrent_rpcs: int = 200
    grpc_max_connection_age_s: int = 300
    """Connections are renewed at this age, so that clients see new replicas."""
    grpc_drain_grace_s: float = 20.0
    """After SIGTERM, the time for running calls to finish; services with longer calls have a longer default."""
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_client_ca: Path | None = None
    """With all three set, the server requires certificates of its clients (mutual TLS)."""


class EngineLimits(BaseModel):
    """Limits of the calls to one engine, as the vendor grants them to a key; None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_once: int | None = Field(default=None, ge=1)
    per_minute: int | None = Field(default=None, ge=1)


class EngineSettings(Settings):
    """A process that runs engines."""

    engine_retry_budget_s: float = Field(default=0.0, ge=0)
    """
    Seconds in which the call of an engine is repeated here after a transient error, before another engine takes over;
    0 leaves every repetition to the caller, which is right for engines that need no network.
    """
    engine_rest_after: int = Field(default=5, ge=0)
    """So many failures of an engine in a row, without one answer, begin its rest; 0: it never rests."""
    engine_rest_s: float = Field(default=30.0, gt=0)
    """For so long an engine that rests is passed over; then one call tries whether it is back."""
    engine_limits: dict[str, EngineLimits] = Field(default_factory=dict)
    """
    By engine, as JSON: `{"elevenlabs": {"at_once": 5, "per_minute": 120}}`. They hold for each process: a key that
    several processes use is divided among them.
    """
    engine_prices: dict[str, Prices] = Field(default_factory=dict)
    """
    List prices by service and engine, as JSON: `{"tts.openai": [{"usd": "15", "unit": "1M characters"}]}`. Units:
    `1k characters`, `1M characters`, `1M UTF-8 bytes`, `minute of audio`, `hour of audio`, `1M input tokens`,
    `1M output tokens`.
    """

    def prices(self, service: str, engine: str, listed: Prices | None = None) -> Prices | None:
        """The prices of an engine: the deployment's own, else those listed; None where they are not known."""
        return self.engine_prices.get(f"{service}.{engine}", listed)


OPENAI_URL = "https://api.openai.com/v1"


class OpenAiSettings(Settings):
    """A process whose engines `openai` recognise or speak."""

    openai_api_key: SecretStr = SecretStr("")
    """A server of one's own that needs no key gets any word."""
    openai_audio_base_url: str = OPENAI_URL
    """Of OpenAI, or of a server with the same API."""


class ElevenLabsSettings(Settings):
    """A process whose engines `elevenlabs` recognise or speak."""

    elevenlabs_api_key: SecretStr = SecretStr("")
    elevenlabs_base_url: str = "https://api.elevenlabs.io"
    """Another region's address keeps the data there."""


class DeepgramSettings(Settings):
    """A process whose engines `deepgram` recognise or speak."""

    deepgram_api_key: SecretStr = SecretStr("")
    deepgram_base_url: str = "https://api.deepgram.com"
    """Another region's address keeps the data there."""


class ClientSettings(GrpcIdentitySettings):
    """A process that calls others by gRPC."""

    grpc_caller_keys: SecretStr = SecretStr("")
    """`package.Service=key` of each service that is called, as `onevoice keys` prints them, separated by commas."""
    grpc_client_keepalive_s: float = Field(default=30.0, ge=10.0)
    """A connection is pinged this often, calls or none, so that a dead one is noticed."""
    grpc_client_keepalive_timeout_s: float = Field(default=10.0, gt=0)
    """A connection whose ping is not answered within this time is dead."""
    grpc_client_tls_ca: Path | None = None
    """Authority that signed the servers' certificates; none: no TLS."""
    grpc_client_tls_cert: Path | None = None
    grpc_client_tls_key: Path | None = None
    """Shown to servers that ask for a certificate (mutual TLS)."""
    grpc_client_tls_server_name: str = ""
    """Name the servers' certificates carry, where it is not the one in the address."""


class AwsSettings(Settings):
    """A process that talks to AWS."""

    aws_region: str = "us-east-1"
    aws_endpoint_url: str | None = None
    """Another endpoint than AWS's, for a local stand-in."""
    aws_use_iam_role: bool = True
    """Take credentials from the role of the machine or pod; false: from the two settings below."""
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_connect_timeout_s: float = Field(default=5.0, gt=0)
    aws_read_timeout_s: float = Field(default=30.0, gt=0)
    """Longest silence of a connection; longer than SQS keeps a receive waiting."""
    aws_max_attempts: int = Field(default=4, ge=1)
    """Attempts of a request, the first included."""


class StorageSettings(AwsSettings):
    """A process that reads or writes objects."""

    storage_backend: Literal["file", "s3"] = "file"
    storage_dir: Path = Path("data/objects")
    """Folder of the `file` backend."""
    storage_public_url: str = "http://127.0.0.1:8000"
    """Address of the gateway, which serves the signed URLs of the `file` backend."""
    storage_signing_key: SecretStr = SecretStr("")
    """Key that signs the URLs of the `file` backend; the gateway refuses to start without one."""
    s3_bucket: str = ""
    storage_owner_depth: int = Field(default=2, ge=1)
    """Segments of an object's key that name its owner (`users/{user}`); a call names objects of one owner only."""


class QueueSettings(AwsSettings):
    """A process that sends or takes job messages."""

    use_sqs_task_queue: bool = False
    """False: workers take jobs from the database outbox. True: the outbox is relayed to SQS."""
    sqs_queue_url: str = ""
    sqs_dlq_url: str = ""
    sqs_wait_time_seconds: int = Field(default=20, ge=0, le=20)
    sqs_visibility_timeout: int = Field(default=900, ge=30, le=43200)
    sqs_backlog: int = Field(default=40, ge=1)
    """The relay fills SQS up to about so many waiting messages; the rest stays where turns are decided."""
    queue_age_s: int = Field(default=600, ge=1)
    """For each such time that a message waits in the outbox it counts as one class of priority higher, up to `high`."""
    queue_max_per_group: int = Field(default=4, ge=0)
    """
    Messages of one group (a user's jobs) in work at a time, over all workers; 0: any number. With SQS it bounds what
    is relayed and not yet done. Keep it below the number of slots, so that one user cannot fill them all.
    """
    queue_max_receives: int = Field(default=5, ge=1)
    """A message received more often is a dead letter: the outbox's counterpart of SQS's redrive policy."""


class NotifySettings(AwsSettings):
    """A process that sends mail and alerts."""

    ses_enabled: bool = False
    """False: mail is not sent but logged."""
    ses_sender: str = ""
    """Address that mail comes from; SES must have verified it."""
    sns_alerts_topic_arn: str = ""
    """Topic for operational alerts; empty: they are only logged."""


class DatabaseSettings(Settings):
    """A process that talks to PostgreSQL."""

    database_url: SecretStr
    """`postgresql://user:password@host/db`."""
    database_pool_size: int = 10
    database_statement_timeout_ms: int = 30_000
    database_connect_timeout_s: float = Field(default=5.0, gt=0)
    """Deadline of a new connection, and of the ping of an idle one."""
    database_answer_timeout_s: float = Field(default=35.0, gt=0)
    """Deadline of a reply when not even a timeout comes from the database; above the statement timeout."""
