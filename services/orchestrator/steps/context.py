"""One job under one lease, and the part of it that steps work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from onevoice_jobs.keys import artifact_key, stage_prefix
from onevoice_jobs.records import Artifact, Edit, JobRecord
from onevoice_jobs.store import JobStore
from onevoice_kit.storage.base import Storage

from ..clients import Clients
from ..progress import Progress
from ..settings import OrchestratorSettings


@dataclass(frozen=True, slots=True)
class Edits:
    """The user's edits that a run applies; a later one of a line replaces an earlier."""

    all: tuple[Edit, ...] = ()
    """In the order of their revisions."""
    changed_ms: Mapping[str, int] | None = None
    """By language: milliseconds of the edited lines that the run is paid for; None: the whole source."""

    def texts(self, language: str, chunk: int) -> dict[str, str]:
        """The texts that the user gave lines of a chunk, by line id."""
        own = [edit for edit in self.all if edit.language == language and edit.line.startswith(f"{chunk}.")]
        return {edit.line: edit.text for edit in own}

    def revision(self, language: str) -> int | None:
        """The last revision in which a line of the language was edited; None where none ever was."""
        return max((edit.revision for edit in self.all if edit.language == language), default=None)


NO_EDITS = Edits()


@dataclass(frozen=True, slots=True)
class JobContext:
    """One job under one lease."""

    job: JobRecord
    store: JobStore
    clients: Clients
    storage: Storage
    settings: OrchestratorSettings
    progress: Progress
    edits: Edits = NO_EDITS

    @property
    def tools(self) -> Tools:
        """The part of it that steps work with."""
        return Tools(self.job.user_id, self.job.id, self.clients, self.storage, self.progress, self.job.revision)


@dataclass(frozen=True, slots=True)
class Tools:
    """All that a step works with besides its declared inputs; nothing here decides its output."""

    user_id: UUID
    job_id: UUID
    clients: Clients
    storage: Storage
    progress: Progress
    revision: int = 1
    """The revision that the job makes: each keeps its files apart."""

    def prefix(self, stage: str) -> str:
        """The folder for the outputs of a stage."""
        return stage_prefix(self.user_id, self.job_id, stage)

    async def save(self, kind: str, language: str | None, filename: str, text: str, content_type: str) -> Artifact:
        """Stores a text as a file for the user; `filename` is its name at download."""
        # The key keeps the user's file name out of storage.
        suffix = PurePosixPath(filename).suffix.lstrip(".") if language else filename
        key = artifact_key(self.user_id, self.job_id, f"{kind}.{language or 'job'}.{suffix}", self.revision)
        ref = await self.storage.put_bytes(key, text.encode(), content_type)
        return Artifact(kind, language, filename, ref)

    async def read(self, artifact: Artifact) -> str:
        """The text that `save` stored."""
        return (await self.storage.get_bytes(self.storage.key(artifact.ref.uri))).decode()
