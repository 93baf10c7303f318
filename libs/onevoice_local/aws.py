"""Moto's server as a local stand-in for S3 and SQS."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from onevoice_kit.settings import QueueSettings, StorageSettings

REGION = "us-east-1"
ACCESS_KEY = SECRET_KEY = "testing"


@dataclass(frozen=True, slots=True)
class Aws:
    """One bucket and one job queue with its dead-letter queue, on a local server."""

    endpoint_url: str
    bucket: str
    queue_url: str
    dlq_url: str

    def environment(self) -> dict[str, str]:
        """The settings of a process that works on these, as environment variables."""
        return {
            "STORAGE_BACKEND": "s3",
            "S3_BUCKET": self.bucket,
            "USE_SQS_TASK_QUEUE": "true",
            "SQS_QUEUE_URL": self.queue_url,
            "SQS_DLQ_URL": self.dlq_url,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_USE_IAM_ROLE": "false",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def storage_settings(self) -> StorageSettings:
        """Settings of the `s3` store."""
        return StorageSettings(
            storage_backend="s3",
            s3_bucket=self.bucket,
            aws_region=REGION,
            aws_endpoint_url=self.endpoint_url,
            aws_use_iam_role=False,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SecretStr(SECRET_KEY),
        )

    def queue_settings(self, *, visibility_timeout: int = 30) -> QueueSettings:
        """Settings of the `sqs` queue."""
        return QueueSettings(
            use_sqs_task_queue=True,
            sqs_queue_url=self.queue_url,
            sqs_dlq_url=self.dlq_url,
            sqs_visibility_timeout=visibility_timeout,
            aws_region=REGION,
            aws_endpoint_url=self.endpoint_url,
            aws_use_iam_role=False,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SecretStr(SECRET_KEY),
        )


class AwsServer:
    """A running stand-in; makes as many sets of resources as there are tests."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url

    def create(self, name: str | None = None, *, visibility_s: int = 30, max_receives: int = 5) -> Aws:
        """A bucket `name`, a queue `name` and a dead-letter queue that takes a message after `max_receives`."""
        name = name or f"test-{uuid4().hex}"
        self.client("s3").create_bucket(Bucket=name)
        sqs = self.client("sqs")
        dlq_url = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
        dlq = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": dlq, "maxReceiveCount": max_receives})
        attributes = {"VisibilityTimeout": str(visibility_s), "RedrivePolicy": redrive}
        queue_url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=dlq_url, Attributes=dead_letter_attributes(queue))
        return Aws(self.endpoint_url, name, queue_url, dlq_url)

    def client(self, service: str) -> Any:
        """A blocking client, to look at the server from outside."""
        import boto3

        return boto3.client(  # type: ignore[call-overload,unused-ignore]
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )


def dead_letter_attributes(queue_arn: str) -> dict[str, str]:
    """The attributes of a dead-letter queue for this queue alone, with messages kept as long as SQS can: 14 days."""
    allow = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn]})
    return {"RedriveAllowPolicy": allow, "MessageRetentionPeriod": str(14 * 86_400)}


@contextmanager
def aws_server(port: int = 0) -> Iterator[AwsServer]:
    """Runs the stand-in in threads of this process; 0 takes a free port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, bound_port = server.get_host_and_port()
        yield AwsServer(f"http://{host}:{bound_port}")
    finally:
        server.stop()
