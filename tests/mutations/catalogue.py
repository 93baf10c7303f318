"""All mutations."""

from __future__ import annotations

from .of_edges import EDGES
from .of_engines import ENGINES
from .of_jobs import JOBS
from .of_money import MONEY

MUTATIONS = (*JOBS, *MONEY, *EDGES, *ENGINES)
QUICK = ("a checkpoint is saved before the work", "lines of the dub overlap")
"""Names of those that every run of the tests executes."""
