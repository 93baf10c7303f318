"""Prometheus objects, built from the names; made once and shared by everyone who asks for the same name."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from onevoice_kit.telemetry.names import SECONDS, Metric


@cache
def counter(metric: Metric) -> Counter:
    """The counter of this name."""
    return Counter(metric.name, metric.description, metric.labels)


@cache
def gauge(metric: Metric) -> Gauge:
    """The gauge of this name."""
    return Gauge(metric.name, metric.description, metric.labels)


@cache
def histogram(metric: Metric) -> Histogram:
    """The histogram of this name."""
    return Histogram(metric.name, metric.description, metric.labels, buckets=metric.buckets or SECONDS)
