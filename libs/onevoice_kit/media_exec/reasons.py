"""The cause of a failure, read from the exit code and the messages of a media tool."""

from __future__ import annotations

import re
import signal

from onevoice_kit.errors import DeadlineExceeded, Internal, InvalidInput, OneVoiceError, Unavailable

MESSAGES = {
    "empty_file": "The file is empty.",
    "not_media": "The file is not a video or sound file.",
    "truncated_media": "The file is cut short: a part of it is missing.",
    "forbidden_format": "This kind of file is not accepted.",
    "unsupported_codec": "The file uses a codec that is not accepted.",
    "picture_too_large": "The picture is larger than accepted.",
    "too_many_streams": "The file has more streams than accepted.",
    "too_long": "The file plays longer than accepted.",
    "no_audio": "The file has no sound.",
    "no_video": "The file has no picture.",
    "file_too_large": "The file is larger than accepted.",
    "media_too_complex": "Decoding the file takes more memory than allowed.",
    "media_unreadable": "The file cannot be read.",
    "bad_index": "The file's index lists more data than the file holds.",
    "too_many_frames": "The file has more frames or packets than accepted.",
    "frame_rate_too_high": "The video has more frames a second than accepted.",
    "burn_in_too_large": "The picture is too large for captions to be burned in; choose captions as a track.",
}

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"exceeds? max_streams|Number of streams"), "too_many_streams"),
    (re.compile(r"Format not on whitelist|Protocol '.*' not on whitelist"), "forbidden_format"),
    (re.compile(r"Picture size \d+x\d+ (is invalid|exceeds)|max_pixels|max pixel count"), "picture_too_large"),
    (
        re.compile(
            r"Cannot allocate memory|bad_alloc|Out of memory|Resource temporarily unavailable|malloc of size \d+ failed"
        ),
        "media_too_complex",
    ),
    (re.compile(r"moov atom not found|partial file|Truncat|truncated|End of file"), "truncated_media"),
    (re.compile(r"Codec .*not on whitelist|Decoder .* not found|Unknown decoder"), "unsupported_codec"),
    (re.compile(r"Invalid data found|could not find codec parameters|does not contain any stream"), "not_media"),
)
_UNUSED = re.compile(r"Codec AVOption .* has not been used")
"""ffmpeg names each guard that an input without video or sound had no use for."""


def bad_media(reason: str, **details: str) -> InvalidInput:
    """The error of a file that is not taken, by its reason."""
    return InvalidInput(MESSAGES[reason], reason=reason, details=details)


def reason_in(stderr: str) -> str | None:
    """The reason that a media tool's messages name, if they name one."""
    messages = "\n".join(line for line in stderr.splitlines() if not _UNUSED.match(line))
    return next((reason for pattern, reason in _PATTERNS if pattern.search(messages)), None)


def ended(returncode: int, stderr: str, *, timed_out: bool, seconds: float) -> OneVoiceError:
    """The error for a tool that did not end with 0. `prlimit` and `setpriv` pass a signal on as it is."""
    if timed_out or returncode in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return DeadlineExceeded(
            f"Working on the media took longer than {seconds:.0f} seconds.", reason="media_time_limit", retryable=False
        )
    if returncode in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ) or "File too large" in stderr:
        return InvalidInput("What the file decodes to is larger than allowed.", reason="output_too_large")
    if "No space left on device" in stderr:
        return Unavailable("There is no space left to work on the media.", reason="disk_full")
    if reason := reason_in(stderr):
        return bad_media(reason)
    if returncode == -signal.SIGKILL:
        return Unavailable("The media tool was stopped from outside.", reason="media_tool_killed")
    return Internal("The media tool failed.", reason="media_tool_failed")
