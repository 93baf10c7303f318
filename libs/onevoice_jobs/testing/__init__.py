"""The job engine in memory, for tests of what stands on it; one contract suite runs over it and over PostgreSQL."""

from __future__ import annotations

from onevoice_jobs.testing.memory import MemoryJobs
from onevoice_jobs.testing.state import MemoryJob
from onevoice_jobs.testing.store import MemoryJobStore, completed, finish_step

__all__ = ["MemoryJob", "MemoryJobStore", "MemoryJobs", "completed", "finish_step"]
