"""The job engine in memory, for tests of what stands on it; one contract suite runs over it and over PostgreSQL."""

from __future__ import annotations

from onevoice_jobs.testing.memory import MemoryJobs, MemoryJobStore
from onevoice_jobs.testing.shown import completed
from onevoice_jobs.testing.state import MemoryJob

__all__ = ["MemoryJob", "MemoryJobStore", "MemoryJobs", "completed"]
