"""The only place that starts ffmpeg and ffprobe: typed commands, allow-lists, limits, an own folder for each work."""

from __future__ import annotations

from onevoice_kit.media_exec.command import Command, Input, Output
from onevoice_kit.media_exec.facts import AudioFacts, MediaFacts, VideoFacts
from onevoice_kit.media_exec.ffmpeg import Ffmpeg
from onevoice_kit.media_exec.limits import MediaLimits, MediaSettings
from onevoice_kit.media_exec.probe import probe
from onevoice_kit.media_exec.process import Running, work_beside
from onevoice_kit.media_exec.reasons import bad_media
from onevoice_kit.media_exec.workspace import MediaFile, Workspace, open_workspace

__all__ = [
    "AudioFacts",
    "Command",
    "Ffmpeg",
    "Input",
    "MediaFacts",
    "MediaFile",
    "MediaLimits",
    "MediaSettings",
    "Output",
    "Running",
    "VideoFacts",
    "Workspace",
    "bad_media",
    "open_workspace",
    "probe",
    "work_beside",
]
