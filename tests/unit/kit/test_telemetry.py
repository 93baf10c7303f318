"""Logs are JSON with trace ids, names follow their scheme, traces cross messages."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from onevoice_kit.telemetry import metrics, trace
from onevoice_kit.telemetry.logging import JsonFormatter, TextFormatter
from onevoice_kit.telemetry.metrics import counter
from tests.support.spans import record_spans

METRICS = [value for value in vars(metrics).values() if isinstance(value, metrics.Metric)]


@pytest.fixture(autouse=True)
def _real_spans() -> None:
    record_spans()


def record(message: str = "spoke %s lines", **extra: object) -> logging.LogRecord:
    return logging.getLogger("services.tts").makeRecord(
        "services.tts", logging.INFO, __file__, 1, message, (3,) if "%s" in message else (), None, extra=extra
    )


def formatted(entry: logging.LogRecord) -> dict[str, object]:
    line = JsonFormatter("tts").format(entry)
    assert "\n" not in line
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_a_line_has_its_fields_and_the_extras():
    line = formatted(record(job_id="j1", took_ms=12))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("ts")))
    assert line == {
        "level": "info",
        "logger": "services.tts",
        "message": "spoke 3 lines",
        "service": "tts",
        "job_id": "j1",
        "took_ms": 12,
    }


def test_a_line_inside_a_span_names_its_trace():
    with trace.span("work"):
        line = formatted(record())
        assert (line["trace_id"], line["span_id"]) == trace.current_ids()
    assert re.fullmatch(r"[0-9a-f]{32}", str(line["trace_id"]))


def test_an_exception_stays_within_its_line():
    entry = record()
    try:
        raise ValueError("two\nlines")
    except ValueError:
        entry.exc_info = sys.exc_info()
    assert "ValueError: two\nlines" in str(formatted(entry)["exception"])


def test_an_extra_cannot_forge_a_field():
    line = formatted(record(service="gateway", level="none"))
    assert (line["service"], line["level"]) == ("tts", "info")


def test_what_json_does_not_know_is_written_as_text():
    assert formatted(record(where={1}))["where"] == "{1}"


def test_people_get_one_readable_line():
    assert TextFormatter("tts").format(record(job_id="j1")).endswith("tts services.tts: spoke 3 lines job_id=j1")


def test_a_trace_goes_on_in_another_process_by_its_traceparent():
    with trace.span("sender"):
        traceparent, sent = trace.inject(), trace.current_ids()[0]
    with trace.attach(traceparent), trace.span("receiver"):
        received = trace.current_ids()[0]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", traceparent)
    assert received == sent


@pytest.mark.parametrize("traceparent", ["", None, "nonsense", "00-zz-zz-00"])
def test_a_bad_traceparent_starts_a_new_trace(traceparent):
    with trace.attach(traceparent), trace.span("receiver"):
        assert trace.current_ids()[0]


def test_outside_any_trace_there_is_nothing_to_send():
    assert (trace.inject(), trace.current_ids()) == ("", ("", ""))


def test_metric_names_are_unique_and_of_one_scheme():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
        assert metric.description.endswith(".")
        assert not {"id", "job_id", "user_id", "key", "text"} & set(metric.labels)


def test_a_metric_is_made_once():
    assert counter(metrics.GRPC_SERVER_STARTED) is counter(metrics.GRPC_SERVER_STARTED)


def run(code: str, **settings: str) -> Iterator[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | settings
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    return iter(done.stdout.splitlines())


SET_UP = "from onevoice_kit.settings import Settings; from onevoice_kit.telemetry import setup; setup(Settings(), 'x');"


def test_without_a_collector_the_exporter_is_not_even_imported():
    lines = run(SET_UP + "import sys; print(sorted(name for name in sys.modules if 'otlp' in name))")
    assert next(lines) == "[]"


def test_with_a_collector_the_exporter_is_in_place():
    code = SET_UP + "import sys; print(any('otlp' in name for name in sys.modules))"
    assert next(run(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")) == "True"


def test_metrics_are_served_on_their_port(unused_port):
    code = (
        SET_UP
        + f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{unused_port}/metrics').read().decode())"
    )
    assert 'onevoice_process_info{service="x"} 1.0' in list(run(code, METRICS_PORT=str(unused_port)))


def test_a_taken_metrics_port_is_named_in_the_error(unused_port):
    code = "from onevoice_kit.errors import *\ntry:\n    " + SET_UP + "setup(Settings(), 'x')\n"
    code += "except PreconditionFailed as error:\n    print(error.reason)\n"
    assert list(run(code, METRICS_PORT=str(unused_port)))[-1] == "metrics_port_taken"


def test_log_level_and_format_come_from_the_settings():
    code = SET_UP + "import logging; logging.getLogger('a').info('no'); logging.getLogger('a').warning('yes')"
    lines = list(run(code, LOG_LEVEL="warning", LOG_FORMAT="text"))
    assert [line.split(": ")[-1] for line in lines] == ["yes"]


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_without_a_collector_a_trace_has_its_ids_and_records_nothing():
    program = (
        "from onevoice_kit.telemetry import trace\n"
        "from onevoice_kit.telemetry.setup import start_traces\n"
        "start_traces('', 'test', 'development')\n"
        "with trace.span('outer') as outer:\n"
        "    sent = trace.inject()\n"
        "    with trace.attach(sent), trace.span('inner') as inner:\n"
        "        assert inner.get_span_context().trace_id == outer.get_span_context().trace_id\n"
        "    print(sent, outer.is_recording())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[02] False\n", done.stdout)
