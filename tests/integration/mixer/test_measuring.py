"""Measuring a finished file finds each line by its sound: a line that is missing, late or over another is named."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.storage.base import ObjectRef
from services.mixer.measuring import MeasureJob, Measurement, PlannedLine
from services.mixer.mixing.plan import Clip, Loudness, MixJob, Range
from services.mixer.muxing import MuxJob, Track

from .conftest import decode

RATE = 48_000
LENGTH_S = 26
SENTENCES = (
    "Buenos días a todos y gracias por venir.",
    "Hoy hablamos de la música del agua.",
    "Sí, señor.",
    "Sí, señor.",
    "El río baja despacio hasta el mar.",
    "Nadie sabe cuánto tiempo queda.",
    "Hasta mañana.",
)
STARTS_MS = (1000, 4000, 8000, 9300, 11_500, 16_000, 20_000)


def spoken(folder: Path, text: str, voice: str) -> np.ndarray:
    """A sentence by eSpeak NG without the silence around it, 48 kHz mono."""
    raw = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-w", str(raw), text], check=True)
    sound = decode(raw, channels=1)[:, 0]
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return 0.5 * sound[loud[0] : loud[-1]]


def music(seconds: float) -> np.ndarray:
    """Chords that change each second over a bed of noise, about 15 dB under a voice."""
    at = np.arange(int(seconds * RATE)) / RATE
    roots = np.array([220, 196, 247, 165])[(at.astype(int)) % 4]
    chord = sum(np.sin(2 * np.pi * np.cumsum(roots * ratio) / RATE) for ratio in (1, 1.25, 1.5, 2))
    return 0.007 * chord + 0.003 * np.random.default_rng(3).standard_normal(len(at))


def by_ffmpeg(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak of a file, as ffmpeg measures them."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-vn", "-af", "ebur128=peak=true", "-f", "null"]
    log = subprocess.run([*command, "-"], check=True, capture_output=True, text=True).stderr
    summary = log[log.rindex("Summary:") :].split()
    return float(summary[summary.index("I:") + 1]), float(summary[summary.index("Peak:") + 1])


def placed(length: int, pieces: Mapping[int, np.ndarray]) -> np.ndarray:
    """Sounds on a silent timeline, by their start in milliseconds."""
    track = np.zeros(length)
    for start, sound in pieces.items():
        track[start * 48 : start * 48 + len(sound)] += sound
    return track


@dataclass(frozen=True)
class Film:
    """A dub made by hand, whose every sound is known."""

    lines: tuple[np.ndarray, ...]
    original: np.ndarray
    speech: np.ndarray
    """The original's speech alone."""
    music: np.ndarray

    @property
    def regions(self) -> tuple[Range, ...]:
        """Ranges in which the original speaks."""
        return tuple(Range(start, start + 2000) for start in STARTS_MS)

    def planned(self) -> tuple[PlannedLine, ...]:
        """The lines as planned."""
        ends = (start + len(line) // 48 for start, line in zip(STARTS_MS, self.lines, strict=True))
        return tuple(PlannedLine(f"0.{n}", STARTS_MS[n], end) for n, end in enumerate(ends))

    def voice(self, shifts: Mapping[int, int] | None = None, without: tuple[int, ...] = ()) -> np.ndarray:
        """The lines on the timeline; `shifts` moves some, milliseconds."""
        kept = [n for n in range(len(self.lines)) if n not in without]
        pieces = {STARTS_MS[n] + (shifts or {}).get(n, 0): self.lines[n] for n in kept}
        return placed(len(self.music), pieces)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Film:
    folder = tmp_path_factory.mktemp("spoken")
    lines = tuple(spoken(folder, text, "es") for text in SENTENCES)
    english = spoken(folder, "This is what the speaker really said to us that day, in his own words.", "en-us+m3")
    speech = placed(LENGTH_S * RATE, dict.fromkeys(STARTS_MS[::2], english[: 2 * RATE]))
    bed = music(LENGTH_S)
    film = Film(lines, speech + bed, speech, bed)
    assert all(one.end_ms < other.start_ms for one, other in pairwise(film.planned())), "the plan has no overlap"
    return film


class Studio:
    """Makes finished files and measures them."""

    def __init__(self, bench, use_cases, film: Film) -> None:
        self.bench, self.use_cases, self.film = bench, use_cases, film

    async def finished(self, voice: np.ndarray, duck_db: float = -20.0, name: str = "dub.mp4") -> ObjectRef:
        """A film in which the voice is mixed by plain addition over music and ducked speech, encoded as AAC."""
        mix = voice + self.film.music + 10 ** (duck_db / 20) * self.film.speech
        sound = self.bench.wav("mix.wav", np.column_stack([mix, mix]))
        picture = ["-f", "lavfi", "-i", f"testsrc2=s=64x36:r=10:d={LENGTH_S}", "-i", str(sound)]
        codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-b:a", "192k"]
        stored: ObjectRef = await self.bench.store(self.bench.make(name, *picture, *codecs))
        return stored

    async def flac(self, name: str, samples: np.ndarray) -> ObjectRef:
        """Sound as a stored FLAC."""
        wav = self.bench.wav(f"{name}.wav", samples)
        stored: ObjectRef = await self.bench.store(self.bench.make(f"{name}.flac", "-i", str(wav)))
        return stored

    async def job(self, media: ObjectRef, **changes) -> MeasureJob:
        """The request that measures a finished file."""
        stem = await self.flac("voice", self.film.voice())
        original = await self.flac("original", self.film.original)
        job = MeasureJob(media, 0, stem, original, self.film.planned(), self.film.regions)
        return replace(job, **changes)

    async def measure(self, media: ObjectRef, **changes) -> Measurement:
        """Measures a finished file."""
        measured: Measurement = await self.use_cases.measurer.measure(await self.job(media, **changes))
        return measured


@pytest.fixture
def studio(bench, use_cases, film) -> Studio:
    return Studio(bench, use_cases, film)


def misplaced(measurement: Measurement, shifts: Mapping[int, int] | None = None) -> list[str]:
    """Lines whose measured onset is not within 10 ms of where they really are."""
    wanted = {f"0.{n}": start + (shifts or {}).get(n, 0) for n, start in enumerate(STARTS_MS)}
    return [line.id for line in measurement.lines if line.present and abs(line.onset_ms - wanted[line.id]) > 10]


def missing(measurement: Measurement) -> list[str]:
    return [line.id for line in measurement.lines if not line.present]


async def test_a_voice_that_was_separated_leaves_less_than_one_that_was_ducked_and_the_music_does_not_count(
    studio, film
):
    """A separator that leaves 5 % of the voice, at -6 dB, against a programme at -22 dB."""
    stem = {"original": await studio.flac("stem", film.speech)}
    separated = await studio.measure(await studio.finished(film.voice(), duck_db=-32.0), **stem)
    ducked = await studio.measure(await studio.finished(film.voice(), duck_db=-22.0), **stem)
    assert separated.residue_db < ducked.residue_db - 6
    assert ducked.residue_db == pytest.approx(-22, abs=2)


async def test_in_a_clean_file_every_line_is_found_where_it_is(studio, film, left_over):
    measured = await studio.measure(await studio.finished(film.voice()))
    assert missing(measured) == []
    assert misplaced(measured) == []
    for planned, line in zip(film.planned(), measured.lines, strict=True):
        assert line.id == planned.id
        assert line.end_ms == pytest.approx(planned.end_ms, abs=60)
        assert line.correlation > 0.8
        assert line.level_db == pytest.approx(0, abs=0.5)
        assert (line.overlap_ms, line.cut_ms) == (0, 0)
        assert abs(line.shift_ms) <= 1
    assert measured.duration_ms == pytest.approx(LENGTH_S * 1000, abs=25)
    assert left_over() == []


async def test_a_line_that_was_removed_is_named(studio, film):
    measured = await studio.measure(await studio.finished(film.voice(without=(4,))))
    assert missing(measured) == ["0.4"]
    assert misplaced(measured) == []


@pytest.mark.parametrize("twin", [2, 3])
async def test_a_removed_line_is_not_taken_for_its_neighbour_with_the_same_words(studio, film, twin):
    measured = await studio.measure(await studio.finished(film.voice(without=(twin,))))
    assert missing(measured) == [f"0.{twin}"]
    assert misplaced(measured) == []


@pytest.mark.parametrize("shift", [400, -300, 1200])
async def test_a_line_that_is_late_or_early_is_found_there(studio, film, shift):
    measured = await studio.measure(await studio.finished(film.voice({5: shift})))
    assert missing(measured) == []
    assert misplaced(measured, {5: shift}) == []
    assert measured.lines[5].shift_ms == pytest.approx(shift, abs=1)


async def test_lines_that_sound_at_once_are_both_found_with_their_overlap(studio, film):
    first, second = film.planned()[:2]
    shift = first.end_ms - second.start_ms - 500
    measured = await studio.measure(await studio.finished(film.voice({1: shift})))
    assert missing(measured) == []
    assert misplaced(measured, {1: shift}) == []
    assert [line.overlap_ms for line in measured.lines[:2]] == pytest.approx([500, 500], abs=60)
    assert [line.overlap_ms for line in measured.lines[2:]] == [0] * 5


async def test_all_three_at_once_are_named(studio, film):
    first, second = film.planned()[:2]
    shifts = {1: first.end_ms - second.start_ms - 500, 5: 400}
    measured = await studio.measure(await studio.finished(film.voice(shifts, without=(4,))))
    assert missing(measured) == ["0.4"]
    assert misplaced(measured, shifts) == []
    assert [line.id for line in measured.lines if line.overlap_ms] == ["0.0", "0.1"]


async def test_a_line_whose_beginning_was_cut_off_begins_later(studio, film):
    voice = film.voice()
    voice[STARTS_MS[4] * 48 : STARTS_MS[4] * 48 + RATE * 6 // 10] = 0
    line = (await studio.measure(await studio.finished(voice))).lines[4]
    assert line.present
    assert line.onset_ms == pytest.approx(STARTS_MS[4] + 600, abs=60)
    assert line.cut_ms == pytest.approx(600, abs=60)
    assert abs(line.shift_ms) <= 1


async def test_lines_under_loud_music_are_found(studio, film):
    loud = Studio(studio.bench, studio.use_cases, replace(film, music=film.music * 5))
    measured = await loud.measure(await loud.finished(film.voice(without=(4,))))
    assert missing(measured) == ["0.4"]
    assert misplaced(measured) == []


@pytest.mark.parametrize("duck_db", [0.0, -6.0, -20.0])
async def test_what_is_left_of_the_original_voice_is_measured(studio, film, duck_db):
    measured = await studio.measure(await studio.finished(film.voice(), duck_db))
    # The music, which is kept on purpose, is a part of the original too: 15 dB under its speech.
    assert measured.residue_db == pytest.approx(duck_db, abs=1.0) if duck_db > -20 else measured.residue_db < -15


async def test_where_nothing_is_left_of_the_original_there_is_no_residue(studio, film):
    bare = Studio(studio.bench, studio.use_cases, replace(film, music=film.music * 0, original=film.speech))
    assert (await bare.measure(await bare.finished(film.voice(), -200))).residue_db < -35


async def test_loudness_and_true_peak_are_those_of_the_decoded_track(studio, film):
    media = await studio.finished(film.voice())
    measured = await studio.measure(media)
    path = await studio.bench.fetch(media)
    loudness, peak = by_ffmpeg(path)
    assert measured.loudness_lufs == pytest.approx(loudness, abs=0.15)
    assert measured.true_peak_dbtp == pytest.approx(peak, abs=0.15)


async def test_a_dub_that_the_mixer_made_measures_as_planned(studio, film, use_cases):
    bench, original = studio.bench, await studio.flac("original", film.original)
    clips = [
        Clip(await bench.store(bench.wav(f"clip{n}.wav", line)), start)
        for n, (line, start) in enumerate(zip(film.lines, STARTS_MS, strict=True))
    ]
    lengths = LENGTH_S * 1000
    mix = await use_cases.mixing.mix(
        MixJob(original, tuple(clips), lengths, film.regions, -20.0, Loudness.SOURCE, -23.0, "users/u/jobs/j/es")
    )
    source = await bench.store(bench.video(seconds=LENGTH_S))
    track = Track(mix.audio, "es", "Dub")
    muxed = await use_cases.muxer.mux(MuxJob(source, (track,), True, "en", (), None, lengths, "users/u/jobs/j/es"))
    job = MeasureJob(muxed.media, 0, mix.voice, original, film.planned(), film.regions)
    measured = await use_cases.measurer.measure(job)
    assert missing(measured) == []
    assert misplaced(measured) == []
    assert measured.loudness_lufs == pytest.approx(mix.loudness_lufs, abs=0.1)
    # AAC leaves out some of what the dub masks, so a little less than the ducking is left.
    assert measured.residue_db == pytest.approx(-22, abs=3)
    assert max(abs(line.level_db) for line in measured.lines) < 0.5
    # The second track is the sound of the source, in which no line is spoken.
    other = await use_cases.measurer.measure(replace(job, track=1))
    assert missing(other) == [line.id for line in film.planned()]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"track": 1}, "no_such_track"),
        ({"track": -1}, "no_such_track"),
        ({"lines": (PlannedLine("0.0", 500, 400),)}, "bad_line"),
        ({"lines": (PlannedLine("0.0", -1, 400),)}, "bad_line"),
        ({"lines": (PlannedLine("0.0", 0, 1),) * 20_001}, "too_many_lines"),
    ],
)
async def test_requests_that_make_no_sense_are_refused(studio, film, changes, reason, left_over):
    with pytest.raises(InvalidInput) as caught:
        await studio.measure(await studio.finished(film.voice()), **changes)
    assert caught.value.reason == reason
    assert left_over() == []


async def test_a_line_without_any_sound_in_the_stem_is_not_found(studio, film):
    silent = PlannedLine("silent", 23_500, 24_500)
    measured = await studio.measure(await studio.finished(film.voice()), lines=(silent, PlannedLine("none", 5, 5)))
    assert missing(measured) == ["silent", "none"]
