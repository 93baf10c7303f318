"""The store of results as the executor sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from onevoice_jobs.records import Published
from onevoice_kit.errors import OneVoiceError

from ..steps.graph import Json, Step


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored result."""

    input_hash: str
    output: Json
    attempts: int = 1
    """Number of attempts in the run that made it."""


JOURNAL: Final = "database"
"""Stands as failed stage where a result could not be stored."""
FAILED: Final = "failed"
"""Stands as input hash of a scope's end that an earlier run stored because the scope had failed for good."""


class Journal(Protocol):
    """
    The store of results. A call that raises `Busy` or `Unavailable` is retried, so every write must bear being
    repeated. Any other error ends the run: without its journal a job must not go on.
    """

    async def completed(self) -> Mapping[str, Checkpoint]:
        """Results of an earlier run, by step key."""
        ...

    async def save(self, step: Step, checkpoint: Checkpoint, published: Published) -> None:
        """
        Stores a result durably, and what users see of it: at once where it stands for a payment, else soon, and never
        later than one that depends on it. That of a pure step may wait for the next one of a step that is not.
        """
        ...

    async def amend(self, step: Step, checkpoint: Checkpoint) -> None:
        """Stores another output of a step that has one, durably before this returns."""
        ...

    async def retrying(self, step: Step, error: OneVoiceError, attempt: int, delay_s: float) -> None:
        """Records that an attempt failed and another follows."""
        ...

    async def scope_failed(self, scope: str, error: OneVoiceError) -> Json:
        """
        Records that a scope failed for good; returns the output its end step gets. From then on `completed` gives it
        under the key of that end, with `FAILED` as input hash: what has failed does not come back in a later run.
        """
        ...
