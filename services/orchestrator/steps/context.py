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
    """The edits that a run applies, the later over the earlier."""

    all: tuple[Edit, ...]

    def of_segment(self, chunk: int, position: int) -> dict[str, str | int]:
        """New values of a source line, by field; empty where it was not edited."""
        return self._of(None, chunk, position)

    def of_translation(self, language: str, chunk: int, position: int) -> dict[str, str | int]:
        """New values of a translated line, by field; empty where it was not edited."""
        return self._of(language, chunk, position)

    def of_chunk(self, chunk: int) -> dict[int, dict[str, str | int]]:
        """New values of the source lines of a chunk, by their position."""
        positions = sorted({edit.position for edit in self.all if (edit.language, edit.chunk) == (None, chunk)})
        return {position: self.of_segment(chunk, position) for position in positions}

    def _of(self, language: str | None, chunk: int, position: int) -> dict[str, str | int]:
        line = (language, chunk, position)
        return {edit.field: edit.value for edit in self.all if (edit.language, edit.chunk, edit.position) == line}


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
    """By language: the length of the lines that this run is paid for; None: the whole source."""

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
