"""Keys of the objects of a user, a video and a job."""

from __future__ import annotations

from uuid import UUID

from onevoice_kit.storage.base import check_key


def user_prefix(user_id: UUID) -> str:
    """Everything of a user lies under this prefix; it is the object scope of calls made for them."""
    return f"users/{user_id}"


def job_prefix(user_id: UUID, job_id: UUID) -> str:
    """Everything a job makes lies under this prefix."""
    return f"{user_prefix(user_id)}/jobs/{job_id}"


def stage_prefix(user_id: UUID, job_id: UUID, stage: str) -> str:
    """The prefix under which a stage (`asr`, `tts`, …) keeps its content-addressed outputs for one job."""
    return check_key(f"{job_prefix(user_id, job_id)}/{stage}")


def artifact_key(user_id: UUID, job_id: UUID, filename: str, revision: int = 1) -> str:
    """
    The key of a result for the user. Each revision has keys of its own, since the results of earlier ones are kept.
    Raises `InvalidInput` (`invalid_key`) for a name that is not plain.
    """
    folder = "artifacts" if revision == 1 else f"artifacts/{revision}"
    return check_key(f"{job_prefix(user_id, job_id)}/{folder}/{filename}")


def video_prefix(user_id: UUID, video_id: UUID) -> str:
    """Everything that belongs to an uploaded video lies under this prefix."""
    return f"{user_prefix(user_id)}/videos/{video_id}"


def original_key(user_id: UUID, video_id: UUID, suffix: str) -> str:
    """The key of an uploaded video; `suffix` with its dot (`.mp4`), or empty."""
    return check_key(f"{video_prefix(user_id, video_id)}/original{suffix}")
