"""What every step of a job has at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from onevoice_jobs.keys import artifact_key, stage_prefix
from onevoice_jobs.options import JobOptions
from onevoice_jobs.records import Artifact, JobRecord
from onevoice_jobs.store import JobStore
from onevoice_kit.storage.base import Storage

from ..progress import Progress
from ..settings import OrchestratorSettings
from ..stages import Stages


@dataclass(frozen=True, slots=True)
class JobContext:
    """One job under one lease."""

    job: JobRecord
    store: JobStore
    stages: Stages
    storage: Storage
    settings: OrchestratorSettings
    progress: Progress

    @property
    def options(self) -> JobOptions:
        """What the user chose."""
        return self.job.options

    @property
    def name(self) -> str:
        """The file name of the source without its extension, for the names of the results."""
        return PurePosixPath(self.job.filename).stem or "video"

    def prefix(self, stage: str) -> str:
        """Where a stage stores its outputs."""
        return stage_prefix(self.job.user_id, self.job.id, stage)

    async def save_text(self, kind: str, language: str | None, suffix: str, text: str, content_type: str) -> Artifact:
        """Stores a text as a result the user can download, named `NAME.LANGUAGE.SUFFIX`, or `SUFFIX` alone."""
        plain = f"{kind}.{language or 'job'}.{suffix}"
        key = artifact_key(self.job.user_id, self.job.id, plain)
        ref = await self.storage.put_bytes(key, text.encode(), content_type)
        return Artifact(kind, language, f"{self.name}.{language}.{suffix}" if language else suffix, ref)
