"""What every step of a job has at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from onevoice_jobs.keys import artifact_key, stage_prefix
from onevoice_jobs.options import JobOptions
from onevoice_jobs.records import Artifact, Edit, JobRecord
from onevoice_jobs.store import JobStore
from onevoice_kit.storage.base import Storage

from ..progress import Progress
from ..settings import OrchestratorSettings
from ..stages import Stages


@dataclass(frozen=True, slots=True)
class Edits:
    """The user's edits that a run applies; a later one of a line replaces an earlier."""

    all: tuple[Edit, ...]
    """In the order of their revisions."""

    def text(self, language: str, line: str) -> str | None:
        """The text that the user gave a line; None where its translation stands."""
        texts = [edit.text for edit in self.all if (edit.language, edit.line) == (language, line)]
        return texts[-1] if texts else None

    def revision(self, language: str) -> int | None:
        """The last revision in which a line of the language was edited; None where none ever was."""
        return max((edit.revision for edit in self.all if edit.language == language), default=None)


@dataclass(frozen=True, slots=True)
class JobContext:
    """One job under one lease."""

    job: JobRecord
    store: JobStore
    stages: Stages
    storage: Storage
    settings: OrchestratorSettings
    progress: Progress
    edits: Edits = field(default_factory=lambda: Edits(()))
    changed_ms: Mapping[str, int] | None = None
    """By language: milliseconds of the edited lines that this run is paid for; None: the whole source."""

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
        key = artifact_key(self.job.user_id, self.job.id, plain, self.job.revision)
        ref = await self.storage.put_bytes(key, text.encode(), content_type)
        return Artifact(kind, language, f"{self.name}.{language}.{suffix}" if language else suffix, ref)
