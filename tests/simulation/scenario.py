"""Sources and requests: small jobs of every kind, drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from onevoice_jobs.submit import PRIORITIES, NewJob
from onevoice_kit.storage.base import ObjectRef

LINE_MS = 2_000
SPOKEN_MS = 1_500


@dataclass(frozen=True, slots=True)
class Spec:
    """A source and the languages requested."""

    languages: tuple[str, ...] = ("es",)
    lines: tuple[int, ...] = (1,)
    """Number of lines of each chunk."""
    has_video: bool = True
    refused: tuple[str, ...] = ()
    """Languages that the translator does not serve."""
    bad: str = ""
    """The call that finds the source to be bad: `mixer.probe`, `asr.detect`, or none."""
    broken: bool = False
    """True where the first engine of synthesis does not work, so that its speakers are recast."""

    @property
    def duration_ms(self) -> int:
        """Length of the source."""
        return sum(self.lines) * LINE_MS

    @property
    def regions(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Regions of speech by chunk, milliseconds."""
        starts = iter(range(0, self.duration_ms, LINE_MS))
        return tuple(tuple((at, at + SPOKEN_MS) for at in islice(starts, n)) for n in self.lines)


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that comes."""

    at_s: float
    spec: Spec
    job_id: UUID
    job: NewJob
    cancel_after_s: float | None
    """Time until its user loses patience; None: never."""
    gateway_dies: bool
    """True where the gateway dies between a cancel at once and the release of the credits."""
    too_late: bool = False
    """True where its user cancels it at the moment at which it is paid for."""


def submissions(seed: int, cancels: float) -> list[Submission]:
    """The jobs of a seed, in the order in which they come."""
    rng = random.Random(f"scenario {seed}")
    count = rng.choice([1, 2, 3, 4, 5])
    users = [UUID(int=rng.getrandbits(128)) for _ in range(2)]
    broken = random.Random(f"engines {seed}").random() < 0.4
    return [_submission(rng, users, cancels, number, broken) for number in range(count)]


def _submission(rng: random.Random, users: list[UUID], cancels: float, number: int, broken: bool) -> Submission:
    spec = Spec(
        languages=rng.choice([("es",), ("es", "ca")]),
        lines=rng.choice([(1,), (2,), (1, 1), (2, 1)]),
        has_video=rng.random() < 0.7,
        refused=rng.choice([(), (), (), (), ("ca",), ("es",), ("es", "ca")]),
        bad=rng.choice([""] * 10 + ["mixer.probe", "asr.detect"]),
        broken=broken,
    )
    video = UUID(int=rng.getrandbits(128))
    job_id = UUID(int=rng.getrandbits(128))
    job = new_job(spec, rng.choice(users), video, rng.choice(sorted(PRIORITIES.values())))
    patience = rng.expovariate(1 / 15) if rng.random() < cancels else None
    return Submission(
        number * rng.uniform(0, 30), spec, job_id, job, patience, rng.random() < 0.3, rng.random() < cancels
    )


def new_job(spec: Spec, user_id: UUID, video_id: UUID, priority: int = 0) -> NewJob:
    """The job as the gateway submits it: its price is what billing will ask for every language."""
    source = ObjectRef(f"file:///users/{user_id}/videos/{video_id}/original.mp4", "a" * 64, 1234, "video/mp4")
    return NewJob(
        user_id,
        video_id,
        source,
        "talk.mp4",
        spec.languages,
        spec.duration_ms,
        price(spec.duration_ms, len(spec.languages)),
        source_language="en",
        priority=priority,
        notify_email="owner@example.org",
    )


def price(duration_ms: int, languages: int) -> int:
    """Credits for so much output."""
    return -(-duration_ms // 1000) * languages
