"""Progress goes forward, is reported sparingly, and counts the results of an earlier run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from onevoice_kit.errors import Conflict, OneVoiceError, Unavailable
from services.orchestrator.progress import MIN_INTERVAL_S, Progress


class Reports:
    """Collects what watchers would see."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float, str | None]] = []
        self.error: OneVoiceError | None = None

    async def set_progress(self, stage: str, percent: float, *, language: str | None = None) -> bool:
        self.calls.append((stage, percent, language))
        if self.error:
            raise self.error
        return True


class Clock:
    """The time of the event loop, moved by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    loop = SimpleNamespace(time=clock)
    monkeypatch.setattr("services.orchestrator.progress.asyncio.get_running_loop", lambda: loop)
    return clock


def progress(reports: Reports) -> Progress:
    made = Progress(reports, ["es", "ca"])  # type: ignore[arg-type]
    made.expect_speech([[(0, 4000)], [(5000, 9000)]])
    return made


async def test_a_job_reaches_its_end_by_preparing_recognising_and_its_languages() -> None:
    job = progress(Reports())
    assert job.percent() == 10
    await job.transcribed(0)
    await job.transcribed(1)
    assert job.percent() == 55
    job.ended("es")
    assert job.percent() == 77.5
    job.ended("ca")
    assert job.percent() == 99.0, "the last percent belongs to the end itself"


async def test_many_lines_are_reported_in_few_messages(clock: Clock) -> None:
    job = progress(reports := Reports())
    for _ in range(100):
        clock.now += MIN_INTERVAL_S / 50
        await job.line_spoken("es", 40)
    spoken = [call for call in reports.calls if call[2] == "es"]
    assert 2 <= len(spoken) <= 4


async def test_reported_progress_never_goes_back(clock: Clock) -> None:
    job = progress(reports := Reports())
    for step in (job.mixing("es", 0.9), job.mixing("es", 0.2), job.line_spoken("es", 10), job.muxing("es")):
        clock.now += 1
        await step
    percents = [percent for _, percent, language in reports.calls if language == "es"]
    assert percents == sorted(percents)


async def test_a_resumed_job_counts_what_was_recognised_before() -> None:
    job = progress(Reports())
    job.heard(0)
    assert job.percent() == 32.5


async def test_progress_that_cannot_be_stored_costs_no_step(clock: Clock) -> None:
    job = progress(reports := Reports())
    reports.error = Unavailable()
    await job.transcribed(0)
    assert len(reports.calls) == 1


async def test_a_lost_lease_is_not_kept_from_the_step(clock: Clock) -> None:
    job = progress(reports := Reports())
    reports.error = Conflict(reason="lease_lost")
    with pytest.raises(Conflict):
        await job.transcribed(0)
