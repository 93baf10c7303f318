"""Steps as data: what a step is, what it waits for, how it is retried."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from onevoice_jobs.records import Shown

from ..retrying import RetryPolicy

Json: TypeAlias = Any
"""What `json` reads and writes; a step's output must survive the round trip unchanged."""
Inputs: TypeAlias = Mapping[str, Json]
"""The outputs of a step's dependencies, by their keys."""


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
    retry: RetryPolicy | None = None
    """None: the executor's own policy."""

    def input_hash(self, input_hashes: Iterable[str]) -> str:
        """Says whether a stored output still answers this step."""
        return digest([self.key, self.params, *input_hashes])


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
