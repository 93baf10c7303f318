"""The limits on media and the codecs of every ffmpeg this project starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onevoice_kit.settings import Settings

_VIDEO = (
    *("h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4"),
    *("mpeg1video", "mpeg2video", "msmpeg4v3", "h263", "mjpeg", "prores", "theora"),
)
_AUDIO = (
    *("aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "flac", "alac", "ac3", "eac3"),
    *("wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "wavpack", "speex", "adpcm_ms", "adpcm_ima_wav"),
    *("amr_nb", "amrnb", "amr_wb", "amrwb"),
)
_PCM = (
    *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
    *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_mulaw", "pcm_alaw"),
)
_BESIDE = (
    *("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"),
    *("dvbsub", "dvdsub", "pgssub", "cc_dec", "png"),
)
"""Subtitles and cover pictures: never used, but ffprobe gives up on a file with a stream it may not open."""
DECODERS = (*_VIDEO, *_AUDIO, *_PCM, *_BESIDE)
"""Decoders, as ffmpeg names them, that may see outside data."""

CODECS = frozenset((*_VIDEO, *_AUDIO, *_PCM))
"""Codecs of video and sound, as ffprobe names them, that are taken."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Limits of one run of ffmpeg or ffprobe."""

    max_file_bytes: int = 10 << 30
    max_duration_s: float = 4 * 3600.0
    max_pixels: int = 7680 * 4320
    """Width times height of a picture."""
    max_burn_in_pixels: int = 4096 * 2304
    """Width times height of a picture that is encoded again: an 8K encoder takes over a gigabyte."""
    max_frame_rate: float = 300.0
    """Frames a second."""
    max_frames: int = 2_000_000
    """Frames of a video: 4 hours at 120 a second and some."""
    max_packets: int = 8_000_000
    """Packets of all streams, for which a tool keeps an index in memory: 30 bytes each."""
    max_streams: int = 64
    max_memory_bytes: int = 512 << 20
    """Resident memory of one process."""
    max_output_bytes: int = 16 << 30
    """Size of any file a process writes."""
    time_limit_s: float = 4 * 3600.0
    """Wall clock of one process; of CPU it may take twice that, since codecs use two threads."""
    probe_time_limit_s: float = 30.0
    """Wall clock of one probe, and of reading all packets of a file besides what its size takes."""
    read_bytes_per_s: float = 20e6
    """Lowest speed at which a file is read."""


_DEFAULT = MediaLimits()


class MediaSettings(Settings):
    """A process that works on media."""

    media_max_file_bytes: int = _DEFAULT.max_file_bytes
    media_max_duration_s: float = _DEFAULT.max_duration_s
    media_max_pixels: int = _DEFAULT.max_pixels
    media_max_burn_in_pixels: int = _DEFAULT.max_burn_in_pixels
    media_max_frame_rate: float = _DEFAULT.max_frame_rate
    media_max_streams: int = _DEFAULT.max_streams
    media_max_memory_bytes: int = _DEFAULT.max_memory_bytes
    media_max_output_bytes: int = _DEFAULT.max_output_bytes
    media_time_limit_s: float = _DEFAULT.time_limit_s
    media_temp_dir: Path | None = None
    """Parent of working folders; None: the system's folder for temporary files."""

    def media_limits(self) -> MediaLimits:
        """The limits as the media tools take them."""
        return MediaLimits(
            max_file_bytes=self.media_max_file_bytes,
            max_duration_s=self.media_max_duration_s,
            max_pixels=self.media_max_pixels,
            max_burn_in_pixels=self.media_max_burn_in_pixels,
            max_frame_rate=self.media_max_frame_rate,
            max_streams=self.media_max_streams,
            max_memory_bytes=self.media_max_memory_bytes,
            max_output_bytes=self.media_max_output_bytes,
            time_limit_s=self.media_time_limit_s,
        )
