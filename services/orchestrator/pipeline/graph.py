"""Steps as data: what a step is, what it waits for, how it is retried."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from onevoice_jobs.records import Shown

Json: TypeAlias = Any
"""What `json` reads and writes; a step's output must survive the round trip unchanged."""
Inputs: TypeAlias = Mapping[str, Json]
"""The outputs of a step's dependencies, by their keys."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, as in the AWS Architecture Blog's “Exponential Backoff And Jitter”."""

    attempts: int = 4
    base_s: float = 0.5
    cap_s: float = 20.0

    def delay_s(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """How long to wait after failed attempt number `attempt` (from 1); never less than the server asked for."""
        backoff = rng.uniform(0, min(self.cap_s, self.base_s * 2 ** (attempt - 1)))
        return max(backoff, min(retry_after or 0.0, self.cap_s))


@dataclass(frozen=True, slots=True)
class Result:
    """What a step returns where users get to see something of it, which is stored together with the output."""

    output: Json
    shown: Shown


@dataclass(frozen=True, slots=True)
class Step:
    """One checkpointed piece of work."""

    key: str
    """Unique in the job; stable over restarts."""
    stage: str
    """What bounds it (one semaphore per stage) and what people see."""
    run: Callable[[Inputs], Awaitable[Json | Result]]
    deps: tuple[str, ...] = ()
    """Keys of the steps it waits for; they may be added to the graph later than this step."""
    params: Json = None
    """What its result depends on besides its inputs; part of the input hash."""
    then: Callable[[Json], Iterable[Step]] | None = None
    """The steps that its output calls for. Must be a pure function, for it runs again after a restart."""
    pure: bool = False
    """
    Only computes, so it may be had again for nothing: unless it has something to tell, its result is stored together
    with the next one of a step that is not pure, and so never later than what depends on it.
    """
    scope: str = ""
    """Steps of a scope fail together without failing the job; the empty scope is the job itself."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def input_hash(self, input_hashes: Iterable[str]) -> str:
        """Says whether a stored output still answers this step."""
        return digest([self.key, self.params, *input_hashes])


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
