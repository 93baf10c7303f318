"""Mail by SES and alerts by SNS, against the local stand-in; where they are not set up, a line in the log."""

from __future__ import annotations

import json
import logging
from email import message_from_string, policy
from typing import Any
from uuid import uuid4

import pytest
from moto.ses.models import ses_backends
from pydantic import SecretStr

from onevoice_kit.errors import Internal, InvalidInput, PreconditionFailed, Unavailable
from onevoice_kit.notify import Note, open_alerts, open_mail
from onevoice_kit.notify.aws import mail, subject
from onevoice_kit.settings import NotifySettings
from onevoice_local.aws import ACCESS_KEY, REGION, SECRET_KEY, AwsServer

ACCOUNT = "123456789012"
"""The one of the stand-in."""
SENDER = "dubs@onevoice.example"
NOTE = Note("mail:1:completed", "“Füße” is dubbed", "Hola\n", "ada@example.com")


def settings(local_aws: AwsServer, **changes: Any) -> NotifySettings:
    return NotifySettings(
        aws_endpoint_url=local_aws.endpoint_url,
        aws_region=REGION,
        aws_use_iam_role=False,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SecretStr(SECRET_KEY),
        **changes,
    )


def sent_mails() -> list[Any]:
    """Every mail that the stand-in has taken, in this process."""
    found = ses_backends[ACCOUNT][REGION].sent_messages
    return [message_from_string(message.raw_data, policy=policy.default) for message in found]


async def test_a_mail_goes_out_with_its_key(local_aws: AwsServer):
    local_aws.client("ses").verify_email_identity(EmailAddress=SENDER)
    channel = open_mail(settings(local_aws, ses_enabled=True, ses_sender=SENDER))
    before = len(sent_mails())
    await channel.send(NOTE)
    await channel.close()
    (sent,) = sent_mails()[before:]
    assert (sent["To"], sent["From"], sent["Subject"]) == (NOTE.recipient, SENDER, NOTE.subject)
    assert sent["X-OneVoice-Notification"] == NOTE.key
    assert sent.get_content() == NOTE.text


async def test_mail_that_ses_refuses_differs_from_ses_that_does_not_answer(local_aws: AwsServer):
    refused = open_mail(settings(local_aws, ses_enabled=True, ses_sender="nobody@unverified.example"))
    with pytest.raises(Internal) as caught:
        await refused.send(NOTE)
    assert caught.value.reason == "mail_refused"
    away = settings(local_aws, ses_enabled=True, ses_sender=SENDER).model_copy(
        update={"aws_endpoint_url": "http://127.0.0.1:1"}
    )
    silent = open_mail(away)
    with pytest.raises(Unavailable):
        await silent.send(NOTE)
    await refused.close()
    await silent.close()


@pytest.mark.parametrize("recipient", ["", "nobody", "a@b\r\nBcc: all@example.com", "two@a.example, b@b.example"])
def test_what_is_no_mail_address_is_refused(recipient: str):
    with pytest.raises(InvalidInput) as caught:
        mail(SENDER, Note("k", "s", "t", recipient))
    assert caught.value.reason == "invalid_recipient"


def test_no_text_can_add_a_header():
    message = mail(SENDER, Note("k\r\nX: 1", "Your “a\r\nBcc: all@example.com”", "text", "ada@example.com"))
    assert message["Subject"] == "Your “a Bcc: all@example.com”"
    assert (message["Bcc"], message["X"]) == (None, None)


def test_the_same_note_has_the_same_message_id_and_another_one_has_another():
    ids = [mail(SENDER, Note(key, "s", "t", "ada@example.com"))["Message-ID"] for key in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]


async def test_an_alert_reaches_the_subscribers(local_aws: AwsServer):
    sns, sqs = local_aws.client("sns"), local_aws.client("sqs")
    topic = sns.create_topic(Name=f"alerts-{uuid4().hex}")["TopicArn"]
    queue = sqs.create_queue(QueueName=f"alerts-{uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    channel = open_alerts(settings(local_aws, sns_alerts_topic_arn=topic))
    await channel.send(Note("alert:1:failed", "Job failed: “ö”\nx", "text"))
    await channel.close()
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert (body["Subject"], body["Message"]) == ("Job failed: ??? x", "text")
    assert body["MessageAttributes"]["notification"]["Value"] == "alert:1:failed"


async def test_on_a_fifo_topic_the_key_deduplicates(local_aws: AwsServer):
    sns, sqs = local_aws.client("sns"), local_aws.client("sqs")
    name = f"alerts-{uuid4().hex}.fifo"
    topic = sns.create_topic(Name=name, Attributes={"FifoTopic": "true"})["TopicArn"]
    queue = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    channel = open_alerts(settings(local_aws, sns_alerts_topic_arn=topic))
    for _ in range(2):
        await channel.send(NOTE)
    await channel.close()
    assert len(sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]) == 1


async def test_a_topic_that_is_gone_refuses(local_aws: AwsServer):
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
    channel = open_alerts(settings(local_aws, sns_alerts_topic_arn=topic))
    with pytest.raises(Internal) as caught:
        await channel.send(NOTE)
    await channel.close()
    assert caught.value.reason == "alerts_refused"


@pytest.mark.parametrize(("given", "expected"), [("", "OneVoice"), ("x" * 200, "x" * 99), ("a\tb", "a b")])
def test_a_subject_is_what_sns_takes(given: str, expected: str):
    assert subject(given) == expected


@pytest.mark.parametrize(
    ("open_channel", "why"), [(open_mail, "SES_ENABLED is false"), (open_alerts, "SNS_ALERTS_TOPIC_ARN is not set")]
)
async def test_where_nothing_is_set_up_the_log_names_the_notice_and_the_cause(open_channel, why: str, caplog):
    channel = open_channel(NotifySettings())
    with caplog.at_level(logging.INFO, logger="onevoice_kit.notify"):
        await channel.send(NOTE)
    await channel.close()
    (record,) = caplog.records
    assert why in record.getMessage()
    assert NOTE.subject in record.getMessage()
    assert NOTE.recipient not in record.getMessage()


def test_mail_without_a_sender_is_not_accepted():
    with pytest.raises(PreconditionFailed) as caught:
        open_mail(NotifySettings(ses_enabled=True))
    assert caught.value.reason == "ses_sender_missing"
