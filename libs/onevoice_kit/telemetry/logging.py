"""One JSON object per log line on stdout, each with the ids of its trace."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from onevoice_kit.telemetry.trace import current_ids

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
"""Attributes of every record, plus uvicorn's duplicate of the message; others come from `extra`."""


def get_logger(name: str) -> logging.Logger:
    """The logger of a module; facts go in `extra={...}`, not into the message."""
    return logging.getLogger(name)


def configure(level: str, log_format: Literal["json", "text"], service: str) -> None:
    """Sends every log line of the process to stdout; repeated calls replace each other."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service) if log_format == "json" else TextFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Chatty about every request at INFO, and some versions of SDKs log bodies at DEBUG: the words of users.
    for name in ("botocore", "aiobotocore", "urllib3", "httpx", "httpx2", "httpcore2", "openai", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """Fields: ts, level, logger, message, service, trace_id, span_id, the extras, exception."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        trace_id, span_id = current_ids()
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        if trace_id:
            line |= {"trace_id": trace_id, "span_id": span_id}
        line |= {key: value for key, value in extras(record).items() if key not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """For people at a terminal: time, level, service, logger, message, extras."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {service} %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is the standard library's
        """The first line, extras appended as `key=value`."""
        facts = "".join(f" {key}={value}" for key, value in extras(record).items())
        return super().formatMessage(record) + facts


def extras(record: logging.LogRecord) -> dict[str, object]:
    """The caller's `extra={...}`."""
    return {key: value for key, value in record.__dict__.items() if key not in _OWN}
