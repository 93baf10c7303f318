"""A mix puts every clip where it belongs, at the requested loudness, and leaves the rest alone."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from onevoice_kit.errors import InvalidInput
from onevoice_kit.media_exec import Ffmpeg, MediaLimits
from services.mixer.extraction import ExtractionJob
from services.mixer.mixing.mixer import Mixer, _parameters
from services.mixer.mixing.plan import Clip, Loudness, MixJob, Range

RATE = 48_000


def chord(seconds: float, level: float = 0.1) -> np.ndarray:
    at = np.arange(int(seconds * RATE)) / RATE
    left, right = (sum(np.sin(2 * np.pi * f * at) for f in tones) for tones in ((220, 277, 330), (220, 262, 440)))
    return level * np.column_stack([left, right]) / 1.5


def speech(seconds: float, rate: int = RATE, seed: int = 1) -> np.ndarray:
    """Noise in syllables: as loud, as wide and as uneven as speech, and easy to find again."""
    count = int(seconds * rate)
    noise = np.convolve(np.random.default_rng(seed).standard_normal(count), np.ones(4) / 4, "same")
    return 0.12 * noise * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(count) / rate))


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def loudness_and_peak(path) -> tuple[float, float]:
    """Integrated loudness and true peak of a file, as ffmpeg measures them."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    loudness, peaks = re.findall(r"I:\s+(-?[\d.]+) LUFS", output), re.findall(r"Peak:\s+(-?[\d.]+) dBFS", output)
    return float(loudness[-1]), float(peaks[-1])


def level_db(sound: np.ndarray, of: np.ndarray) -> float:
    return float(10 * np.log10((sound**2).mean() / (of**2).mean()))


def delay_ms(found: np.ndarray, wanted: np.ndarray, at_ms: int) -> float:
    """Milliseconds by which the sound begins later than `at_ms`, by correlation."""
    room = RATE // 10
    begin = at_ms * RATE // 1000 - room
    window = found[max(0, begin) : begin + len(wanted) + 2 * room]
    window = np.pad(window, (max(0, -begin), 0))
    score = np.correlate(window, wanted[: RATE // 2], "valid")[: 2 * room]
    return (int(np.argmax(np.abs(score))) - room) * 1000 / RATE


class Desk:
    """Makes mixes of one background."""

    def __init__(self, bench, use_cases) -> None:
        self.bench = bench
        self.use_cases = use_cases

    async def clip(self, samples: np.ndarray, rate: int = RATE, **placing: float) -> Clip:
        name = f"clip{abs(hash((samples.tobytes(), rate)))}.wav"
        return Clip(await self.bench.store(self.bench.wav(name, samples, rate)), **placing)  # type: ignore[arg-type]

    async def flac(self, name: str, samples: np.ndarray):
        """Sound as a stored FLAC."""
        wav = self.bench.wav(f"{name}.wav", samples)
        return await self.bench.store(self.bench.make(f"{name}.flac", "-i", str(wav)))

    async def job(self, background: np.ndarray, clips: list[Clip], **changes) -> MixJob:
        fields = {
            "background": await self.flac("background", background),
            "clips": tuple(clips),
            "duration_ms": len(background) * 1000 // RATE,
            "duck_ranges": (),
            "duck_gain_db": -20.0,
            "loudness": Loudness.SOURCE,
            "source_loudness_lufs": -20.0,
            "output_prefix": "users/u/jobs/j/es",
        }
        return MixJob(**{**fields, **changes})

    async def mix(self, background: np.ndarray, clips: list[Clip], **changes):
        return await self.use_cases.mixing.mix(await self.job(background, clips, **changes))


@pytest.fixture
def desk(bench, use_cases) -> Desk:
    return Desk(bench, use_cases)


async def test_clips_begin_within_a_millisecond_of_their_place(desk, left_over):
    silence = np.zeros((12 * RATE, 2))
    voices = [speech(1.5, RATE, 1), speech(1.5, 22_050, 2), speech(1.5, 16_000, 3)]
    starts = (0, 4321, 9007)
    clips = [
        await desk.clip(voice, rate, start_ms=start)
        for voice, rate, start in zip(voices, (RATE, 22_050, 16_000), starts, strict=True)
    ]
    mix = await desk.mix(silence, clips)
    found = (await desk.bench.samples(mix.audio)).mean(axis=1)
    for voice, rate, start in zip(voices, (RATE, 22_050, 16_000), starts, strict=True):
        wanted = np.interp(np.arange(int(1.5 * RATE)) / RATE, np.arange(len(voice)) / rate, voice)
        assert abs(delay_ms(found, wanted, start)) <= 1.0
    assert mix.placed_ms == (1500, 1500, 1500)
    assert left_over() == []


@pytest.mark.parametrize("duration_ms", [3000, 3001, 7333])
async def test_the_mix_has_the_requested_length_to_the_sample(desk, duration_ms):
    mix = await desk.mix(chord(5), [], duration_ms=duration_ms)
    show = ["-show_entries", "stream=duration_ts,time_base,codec_name,channels", "-of", "csv=p=0"]
    path = str(await desk.bench.fetch(mix.audio))
    assert output(["ffprobe", "-v", "error", *show, path]).strip() == f"aac,2,1/48000,{duration_ms * 48}"
    assert mix.duration_ms == duration_ms


@pytest.mark.parametrize(
    ("loudness", "wanted"),
    [(Loudness.SOURCE, -21.5), (Loudness.MINUS_23, -23), (Loudness.MINUS_16, -16), (Loudness.MINUS_14, -14)],
)
async def test_the_loudness_is_the_requested_one(desk, loudness, wanted):
    clips = [await desk.clip(speech(3, 24_000), 24_000, start_ms=start) for start in (1000, 6000, 11_000)]
    ranges = tuple(Range(clip.start_ms, clip.start_ms + 3000) for clip in clips)
    changes = {"loudness": loudness, "source_loudness_lufs": -21.5, "duck_ranges": ranges}
    mix = await desk.mix(chord(16, 0.03), clips, **changes)
    measured, peak = loudness_and_peak(await desk.bench.fetch(mix.audio))
    assert measured == pytest.approx(wanted, abs=0.5)
    assert mix.loudness_lufs == pytest.approx(measured, abs=0.3)
    assert peak <= -1.0


async def test_a_preset_needs_no_loudness_of_the_source(desk):
    clips = [await desk.clip(speech(3), start_ms=1000)]
    mix = await desk.mix(chord(6), clips, loudness=Loudness.MINUS_23, source_loudness_lufs=0.0)
    assert mix.voice_gain_db == 0.0
    assert loudness_and_peak(await desk.bench.fetch(mix.audio))[0] == pytest.approx(-23, abs=0.5)


async def test_a_mix_that_would_clip_keeps_its_peaks_under_the_ceiling(desk):
    rough = np.clip(chord(8) * 12, -0.97, 0.97)
    clips = [await desk.clip(speech(3), start_ms=2000, gain_db=12)]
    mix = await desk.mix(rough, clips, source_loudness_lufs=-3.0)
    measured, peak = loudness_and_peak(await desk.bench.fetch(mix.audio))
    assert peak <= -1.0
    assert mix.true_peak_dbtp == pytest.approx(peak, abs=0.2)
    assert mix.loudness_lufs == pytest.approx(measured, abs=0.3)


async def test_a_loudness_that_needs_the_limiter_is_still_reached(desk):
    clips = [await desk.clip(speech(3) * 2, start_ms=2000)]
    quiet_with_peaks = chord(8, 0.02)
    quiet_with_peaks[::9600] = 0.9
    mix = await desk.mix(quiet_with_peaks, clips, loudness=Loudness.MINUS_14, source_loudness_lufs=-28.0)
    measured, peak = loudness_and_peak(await desk.bench.fetch(mix.audio))
    assert peak <= -1.0
    assert measured == pytest.approx(-14, abs=1.0)


async def test_what_lies_between_the_lines_is_not_touched(desk):
    background = chord(12)
    clips = [await desk.clip(speech(2), start_ms=start) for start in (2000, 8000)]
    ranges = (Range(2000, 4000), Range(8000, 10_000))
    mix = await desk.mix(background, clips, duck_ranges=ranges, source_loudness_lufs=-25.0)
    found = await desk.bench.samples(mix.audio)
    # 200 ms away from every line: the ramps are over, and so is what AAC spreads in time.
    for begin, end in ((0.5, 1.8), (4.2, 7.8), (10.2, 11.5)):
        part = slice(int(begin * RATE), int(end * RATE))
        error = found[part] - background[part]
        assert 10 * np.log10((error**2).mean() / (background[part] ** 2).mean()) < -30
        assert 20 * np.log10(found[part].std() / background[part].std()) == pytest.approx(0, abs=0.05)


async def test_dense_music_keeps_its_quality_where_a_fixed_rate_would_run_out_of_bits(desk):
    at = np.arange(8 * RATE) / RATE
    sides = ((200, 215, 0.01), (150, 197, 0.012))
    left, right = (
        sum(np.sin(2 * np.pi * f * (1 + bend * n) * at + n) for n, f in enumerate(range(low, 9000, step)))
        for low, step, bend in sides
    )
    dense = np.column_stack([left, right])
    dense *= 0.6 / np.abs(dense).max()
    mix = await desk.mix(dense, [])
    error = (await desk.bench.samples(mix.audio))[RATE:-RATE] - dense[RATE:-RATE]
    # At 192 kbit/s it was -6 dB.
    assert 10 * np.log10((error**2).mean() / (dense[RATE:-RATE] ** 2).mean()) < -10


async def test_the_background_is_lowered_by_the_requested_gain(desk):
    background = chord(9)
    mix = await desk.mix(background, [], duck_ranges=(Range(3000, 6000),), duck_gain_db=-15.0)
    found = await desk.bench.samples(mix.audio)
    part = slice(int(3.1 * RATE), int(5.9 * RATE))
    fall = 10 * np.log10((found[part] ** 2).mean() / (background[part] ** 2).mean())
    assert fall == pytest.approx(-15.0, abs=0.3)


async def test_a_separated_background_sounds_under_the_lines_and_the_programme_between_them(desk):
    background, voice = chord(9), speech(9, seed=5)[:, None] * np.ones(2)
    programme, ranges = background + voice, (Range(3000, 6000),)
    stem = await desk.flac("separated", background)
    mix = await desk.mix(programme, [], duck_ranges=ranges, duck_gain_db=-6.0, separated=stem)
    found = await desk.bench.samples(mix.audio)
    under, before = slice(int(3.1 * RATE), int(5.9 * RATE)), slice(int(0.5 * RATE), int(2.8 * RATE))
    assert level_db(found[under] - background[under] / 2, background[under]) < -30
    assert level_db(found[before], programme[before]) == pytest.approx(0, abs=0.2)
    assert level_db(found[before] - background[before], voice[before]) == pytest.approx(0, abs=1)
    again = await desk.mix(programme, [], duck_ranges=ranges, duck_gain_db=-6.0, separated=stem)
    ducked = await desk.mix(programme, [], duck_ranges=ranges, duck_gain_db=-6.0)
    assert again == mix
    assert ducked.audio.uri != mix.audio.uri


async def test_a_separated_background_does_not_move_the_loudness_from_the_requested_one(desk):
    clips = [await desk.clip(speech(3), start_ms=start) for start in (1000, 6000)]
    ranges = tuple(Range(clip.start_ms, clip.start_ms + 3000) for clip in clips)
    background = chord(10, 0.05)
    programme = background + speech(10, seed=7)[:, None] * np.ones(2)
    changes = {"duck_ranges": ranges, "duck_gain_db": -6.0, "separated": await desk.flac("separated", background)}
    mix = await desk.mix(programme, clips, source_loudness_lufs=-21.5, **changes)
    assert loudness_and_peak(await desk.bench.fetch(mix.audio))[0] == pytest.approx(-21.5, abs=0.5)


async def test_without_a_separated_background_a_mix_has_the_key_that_it_had_before_there_were_any(desk):
    job = await desk.job(chord(1), [])
    assert "separated" not in _parameters(job)
    assert _parameters(replace(job, separated=job.background)) == _parameters(job) | {
        "separated": job.background.sha256
    }


@pytest.mark.parametrize("speed", [0.9, 1.003, 1.1, 1.25])
async def test_a_faster_clip_is_shorter_and_sounds_as_high(desk, speed):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * 22_050) / 22_050)
    mix = await desk.mix(np.zeros((6 * RATE, 2)), [await desk.clip(tone, 22_050, start_ms=1000, speed=speed)])
    found = (await desk.bench.samples(mix.audio)).mean(axis=1)
    length = 3 / speed  # of exactly the speed asked for, however near to 1
    assert mix.placed_ms == (round(length * 1000),)
    loud = np.flatnonzero(np.abs(found) > 0.01)
    assert loud[0] / RATE == pytest.approx(1.0, abs=0.03)
    assert loud[-1] / RATE == pytest.approx(1.0 + length, abs=0.05)
    middle = found[int(1.5 * RATE) : int(2.5 * RATE)]
    assert int(np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))))) == pytest.approx(440, abs=2)


async def test_clips_keep_their_places_in_any_order_and_number(desk):
    voice = speech(0.2)
    one = await desk.clip(voice, start_ms=0)
    starts = [int(start) for start in np.random.default_rng(4).permutation(np.arange(60)) * 300]
    clips = [Clip(one.audio, start, (1.0, 1.1, 0.95)[n % 3]) for n, start in enumerate(starts)]
    mix = await desk.mix(np.zeros((20 * RATE, 2)), clips)
    found = np.abs((await desk.bench.samples(mix.audio)).mean(axis=1))
    for start in starts:
        assert found[start * 48 + 2400 : start * 48 + 4800].max() > 0.01
        assert found[start * 48 + 12_000 : start * 48 + 13_500].max() < 0.01
    assert mix.placed_ms[:3] == (200, round(200 / 1.1), round(200 / 0.95))


async def test_the_voice_stem_is_the_voice_alone_as_it_is_in_the_mix(desk):
    # Tones, because AAC keeps their waveform; of noise it keeps the level only.
    tones = chord(1.5).mean(axis=1) * np.hanning(int(1.5 * RATE))
    clips = [await desk.clip(tones, start_ms=start) for start in (1000, 5000)]
    mix = await desk.mix(chord(8, 0.01), clips, duck_ranges=(Range(0, 8000),), duck_gain_db=-100.0)
    mixed = (await desk.bench.samples(mix.audio)).mean(axis=1)
    # The stem is at 16 kHz; the tones are far below what that takes away.
    assert len(await desk.bench.samples(mix.voice, rate=16_000, channels=1)) == 8 * 16_000
    (voice,) = (await desk.bench.samples(mix.voice, channels=1)).T
    assert np.abs(voice[: RATE - 480]).max() < 1e-4
    error = mixed[: 7 * RATE] - voice[: 7 * RATE]
    assert 10 * np.log10((error**2).mean() / (voice**2).mean()) < -30
    for begin in (1, 5):
        part = slice(begin * RATE, int((begin + 1.5) * RATE))
        assert 20 * np.log10(mixed[part].std() / voice[part].std()) == pytest.approx(0, abs=0.2)


async def test_gains_of_clips_stay_in_proportion(desk):
    voice = speech(1.5)
    clips = [await desk.clip(voice, start_ms=0), await desk.clip(voice, start_ms=3000, gain_db=-12.0)]
    found = await desk.bench.samples((await desk.mix(np.zeros((5 * RATE, 2)), clips)).audio)
    powers = [(found[second * RATE : int((second + 1.5) * RATE)] ** 2).mean() for second in (0, 3)]
    assert 10 * np.log10(powers[1] / powers[0]) == pytest.approx(-12, abs=0.2)


async def refusal(desk, clips, **changes) -> str:
    with pytest.raises(InvalidInput) as caught:
        await desk.mix(chord(3), clips, **changes)
    return caught.value.reason


async def test_a_clip_that_would_run_past_the_end_is_refused(desk, left_over):
    fits, too_long = (await desk.clip(speech(1), start_ms=start) for start in (2000, 2002)), None
    first = await anext(fits)
    assert (await desk.mix(chord(3), [first])).placed_ms == (1000,)
    too_long = await anext(fits)
    assert await refusal(desk, [first, too_long]) == "clip_out_of_range"
    assert await refusal(desk, [Clip(first.audio, 2500, 1.0)]) == "clip_out_of_range"
    assert (await desk.mix(chord(3), [Clip(first.audio, 2100, 1.25)])).placed_ms == (800,)
    assert left_over() == []


async def test_a_clip_that_is_no_wav_is_refused(desk, left_over):
    path = desk.bench.folder / "a.wav"
    path.write_bytes(b"#EXTM3U\n")
    assert await refusal(desk, [Clip(await desk.bench.store(path), 0)]) == "clip_not_wav"
    assert left_over() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"duration_ms": 0}, "bad_duration"),
        ({"duck_gain_db": 3.0}, "bad_duck"),
        ({"source_loudness_lufs": float("nan")}, "bad_duck"),
        ({"source_loudness_lufs": 0.0}, "bad_loudness"),
    ],
)
async def test_requests_that_make_no_sense_are_refused(desk, changes, reason):
    assert await refusal(desk, [], **changes) == reason


async def test_a_mix_without_clips_is_the_background(desk):
    background = chord(3)
    mix = await desk.mix(background, [])
    found = (await desk.bench.samples(mix.audio))[: len(background)]
    assert np.std(found) == pytest.approx(np.std(background), rel=0.02)


async def test_a_speed_beyond_the_bounds_is_refused(desk):
    assert await refusal(desk, [await desk.clip(speech(1), start_ms=0, speed=2.5)]) == "bad_clip"


async def test_a_background_that_is_no_media_is_refused(desk, left_over):
    job = await desk.job(chord(2), [])
    broken = await desk.bench.store_text("b.flac", "no sound at all")
    with pytest.raises(InvalidInput) as caught:
        await desk.use_cases.mixing.mix(
            MixJob(**{name: getattr(job, name) for name in MixJob.__slots__} | {"background": broken})
        )
    assert caught.value.reason == "not_media"
    assert left_over() == []


class WithoutRubberband(Ffmpeg):
    """An ffmpeg that was built without the better filter."""

    async def has_filter(self, name: str) -> bool:
        return name != "rubberband" and await super().has_filter(name)


async def test_without_rubberband_clips_still_get_their_speed_and_pitch(desk, file_storage, ffmpeg, temp_dir):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    job = await desk.job(np.zeros((5 * RATE, 2)), [await desk.clip(tone, start_ms=1000, speed=1.2)])
    mix = await Mixer(file_storage, WithoutRubberband(ffmpeg.limits, temp_dir)).mix(job)
    found = (await desk.bench.samples(mix.audio)).mean(axis=1)
    assert mix.placed_ms == (2500,)
    middle = found[int(1.5 * RATE) : int(2.5 * RATE)]
    assert int(np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))))) == pytest.approx(440, abs=2)


async def test_a_cancelled_pass_stops_at_once_and_not_at_the_end_of_the_film(desk, left_over):
    job = await desk.job(chord(60), [])
    loop, reached, cancelled = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    reports: list[float] = []

    def report(fraction: float) -> None:
        if 0.2 < fraction < 0.4:
            reports.append(fraction)
            loop.call_soon_threadsafe(reached.set)
            cancelled.wait(30)

    task = asyncio.create_task(desk.use_cases.mixing.mix(job, report))
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)  # Lets the task see it, and end its decoder.
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(reports) == 1
    assert left_over() == []


async def test_a_cancelled_mix_leaves_nothing_behind(desk, left_over, file_storage):
    job, started = await desk.job(chord(60), [await desk.clip(speech(1), start_ms=0)]), asyncio.Event()
    loop = asyncio.get_running_loop()

    def report(fraction: float) -> None:
        if fraction > 0.45:
            loop.call_soon_threadsafe(started.set)

    task = asyncio.create_task(desk.use_cases.mixing.mix(job, report))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_over() == []
    # The levels of the background serve the next attempt.
    assert ["/levels-" in key async for key in file_storage.list("users")] == [True]


async def test_a_repeat_is_found_without_any_work(desk, file_storage, temp_dir):
    job = await desk.job(chord(3), [await desk.clip(speech(1), start_ms=0)])
    first = await desk.use_cases.mixing.mix(job)
    nothing_allowed = Ffmpeg(MediaLimits(time_limit_s=0, probe_time_limit_s=0), temp_dir)
    assert await Mixer(file_storage, nothing_allowed).mix(job) == first


class Recording(Ffmpeg):
    """Media tools that keep the commands of which samples are read."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.decoded: list[str] = []

    def stream(self, command, workspace, **options):
        if any(output.file == "pipe" for output in command.outputs):
            self.decoded.append(command.inputs[0].file)
        return super().stream(command, workspace, **options)


async def test_an_extracted_sound_is_decoded_once_for_each_language_and_measured_never_again(
    desk, use_cases, file_storage, ffmpeg, temp_dir
):
    source = await desk.bench.store(desk.bench.video())
    sound = await use_cases.extractor.extract(ExtractionJob(source, "users/u/jobs/j/mixer"))
    job = await desk.job(chord(6), [await desk.clip(speech(1), start_ms=1000)], output_prefix="users/u/jobs/j/mixer")
    job = replace(job, background=sound.programme, source_loudness_lufs=sound.loudness_lufs)
    tools = Recording(ffmpeg.limits, temp_dir)
    mix = await Mixer(file_storage, tools).mix(job)
    assert len(tools.decoded) == 1
    assert mix.loudness_lufs == pytest.approx(sound.loudness_lufs, abs=0.05)


MEMORY = """
import io, os, sys
import numpy as np
from services.mixer.mixing.ducking import Ducker
from services.mixer.mixing.levels import LevelMeter, levels_of_clip
from services.mixer.mixing.passes import Gains, Outputs, measure, render
from services.mixer.mixing.plan import Range
from services.mixer.mixing.under import Ducked, ducked_levels
from services.mixer.mixing.voice import Placed, Voice

class Noise(io.RawIOBase):
    data = (np.random.default_rng(1).standard_normal((96_000, 2)) * 0.3).astype("<f4").tobytes()
    def read(self, count=-1):
        return self.data[:count]

minutes = int(sys.argv[1])
total = minutes * 60 * 48_000
scratch = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
spoken = np.ones(96_000, dtype=np.float32)
os.pwrite(scratch, spoken.tobytes(), 0)
levels = levels_of_clip(spoken[:90_000], 0)
clips = [Placed(start, 90_000, 0, levels) for start in range(0, total - 96_000, 144_000)]
ranges = [Range(clip.start // 48, clip.end // 48) for clip in clips]
meter = LevelMeter(2)
for _ in range(total // 96_000):
    meter.add(np.frombuffer(Noise.data, dtype="<f4").reshape(-1, 2))
parts = measure(ducked_levels(meter.levels(), Ducker(ranges, -15), total), clips, total)
gains = Gains(parts.solve(-20), 3.0, -1.5)
with open(os.devnull, "wb") as out:
    under = Ducked(Noise(), Ducker(ranges, -15))
    measured = render(under, Voice(scratch, clips), total, gains, Outputs(out), lambda fraction: None)
assert measured.limited
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    def peak_mb(minutes: int) -> float:
        command = [sys.executable, "-c", MEMORY, str(minutes), str(tmp_path / "scratch")]
        environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        return int(output) / 1024

    short, long = peak_mb(1), peak_mb(5)
    assert long < 300
    assert long - short < 20
