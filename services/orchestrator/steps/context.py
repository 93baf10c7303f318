"""One job under one lease, and the part of it that steps work with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from onevoice_jobs.keys import artifact_key, stage_prefix
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
    def tools(self) -> Tools:
        """The part of it that steps work with."""
        return Tools(self.job.user_id, self.job.id, self.stages, self.storage, self.progress)


@dataclass(frozen=True, slots=True)
class Tools:
    """All that a step works with besides its declared inputs; nothing here decides its output."""

    user_id: UUID
    job_id: UUID
    stages: Stages
    storage: Storage
    progress: Progress

    def prefix(self, stage: str) -> str:
        """The folder for the outputs of a stage."""
        return stage_prefix(self.user_id, self.job_id, stage)

    async def save(self, kind: str, language: str | None, filename: str, text: str, content_type: str) -> Artifact:
        """Stores a text as a file for the user; `filename` is its name at download."""
        # The key keeps the user's file name out of storage.
        suffix = PurePosixPath(filename).suffix.lstrip(".") if language else filename
        key = artifact_key(self.user_id, self.job_id, f"{kind}.{language or 'job'}.{suffix}")
        ref = await self.storage.put_bytes(key, text.encode(), content_type)
        return Artifact(kind, language, filename, ref)

    async def read(self, artifact: Artifact) -> str:
        """The text that `save` stored."""
        return (await self.storage.get_bytes(self.storage.key(artifact.ref.uri))).decode()
