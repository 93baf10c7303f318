"""The stand-in for AWS behind `onevoice up --aws`: a moto server as a child process, with bucket and queues.

All its state is in the memory of that process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from onevoice_cli.launcher.health import http_ready
from onevoice_cli.launcher.process import ServiceSpec

REGION = "us-east-1"
BUCKET = "onevoice"
QUEUE = "onevoice-jobs"
DLQ = "onevoice-jobs-dlq"
MAX_RECEIVE_COUNT = 5
VISIBILITY_TIMEOUT_S = 900
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def aws_spec(port: int) -> ServiceSpec:
    """The moto server. Not restarted: its end takes every object and message with it."""
    return ServiceSpec(
        name="aws",
        argv=(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        env=dict(os.environ) | _CREDENTIALS | {"AWS_DEFAULT_REGION": REGION},
        ready=http_ready(f"http://127.0.0.1:{port}/moto-api/data.json"),
        stop_order=3,
        restart=False,
    )


async def create_resources(port: int) -> Mapping[str, str]:
    """Makes bucket, queue and dead-letter queue; returns the settings that point services at them."""
    url = f"http://127.0.0.1:{port}"
    queue_url, dlq_url = await asyncio.to_thread(_create, url)
    return _CREDENTIALS | {
        "USE_SQS_TASK_QUEUE": "true",
        "SQS_QUEUE_URL": queue_url,
        "SQS_DLQ_URL": dlq_url,
        "SQS_VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT_S),
        "STORAGE_BACKEND": "s3",
        "S3_BUCKET": BUCKET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": url,
        "AWS_USE_IAM_ROLE": "false",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _create(url: str) -> tuple[str, str]:
    _client("s3", url).create_bucket(Bucket=BUCKET)
    sqs = _client("sqs", url)
    dlq_url = str(sqs.create_queue(QueueName=DLQ)["QueueUrl"])
    dlq_arn = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": dlq_arn, "maxReceiveCount": MAX_RECEIVE_COUNT})
    attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": str(VISIBILITY_TIMEOUT_S)}
    return str(sqs.create_queue(QueueName=QUEUE, Attributes=attributes)["QueueUrl"]), dlq_url


def _client(service: str, url: str) -> Any:
    import boto3

    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
