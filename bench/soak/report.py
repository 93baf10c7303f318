"""The figures of a run as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .checks import Finding

GOAL_JOBS_PER_S = 20.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The measurements."""

    seconds: float
    """Time over which jobs were submitted."""
    completed: int
    """Jobs that ended in that time."""
    accepted: int
    repeats: int
    kills: Mapping[str, int]
    latencies_s: Sequence[float]
    cpu_s: Mapping[str, float]
    """By service, over the whole run."""
    starts_cpu_s: float
    client_cpu_s: float
    """Of the soak itself, which has its share of the same cores."""
    transactions: int
    load_average: float
    findings: Sequence[Finding]

    @property
    def sound(self) -> bool:
        """True if nothing was lost, doubled or miscounted."""
        return not any(finding.count for finding in self.findings)


def render(figures: Figures) -> str:
    """Aligned text."""
    rows = [*_speed(figures), *_costs(figures), ("", "")]
    rows += [(finding.name, str(finding.count)) for finding in figures.findings]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {value}".rstrip() for name, value in rows)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _speed(figures: Figures) -> list[tuple[str, str]]:
    rate = figures.completed / figures.seconds
    kills = ", ".join(f"{name} {count}" for name, count in sorted(figures.kills.items())) or "none"
    verdict = "met" if rate >= GOAL_JOBS_PER_S else f"missed by {GOAL_JOBS_PER_S - rate:.1f}"
    return [
        ("jobs accepted", f"{figures.accepted} ({figures.repeats} requests repeated)"),
        ("processes killed", f"{sum(figures.kills.values())}: {kills}"),
        ("jobs/s sustained", f"{rate:.1f}  (goal ≥ {GOAL_JOBS_PER_S:g}: {verdict})"),
        ("submit → completed, p50", f"{percentile(figures.latencies_s, 0.5):.2f} s"),
        ("submit → completed, p99", f"{percentile(figures.latencies_s, 0.99):.2f} s"),
        ("load average at the end, 1 min", f"{figures.load_average:.1f}"),
    ]


def _costs(figures: Figures) -> list[tuple[str, str]]:
    jobs = max(1, figures.accepted)
    rows = [("transactions per job", f"{figures.transactions / jobs:.1f}")]
    for name, seconds in sorted(figures.cpu_s.items(), key=lambda item: -item[1]):
        rows.append((f"processor time per job, {name}", f"{1000 * seconds / jobs:.1f} ms"))
    rows.append(("processor time per job, all", f"{1000 * sum(figures.cpu_s.values()) / jobs:.1f} ms"))
    rows.append(("besides, per job: the soak's own client", f"{1000 * figures.client_cpu_s / jobs:.1f} ms"))
    rows.append(("besides, in all: restarts", f"{figures.starts_cpu_s:.1f} s"))
    return rows
