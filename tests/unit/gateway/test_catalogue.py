"""Requirements of a job that the engines can meet, and the time for which their answers are remembered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from onevoice_kit.errors import InvalidInput, NotFound, Unavailable
from services.gateway.catalogue.service import Catalogue, EngineNeeds, Remembered
from services.gateway.clients.stages import AsrEngines, EngineInfo, VoiceInfo

POCKETSPHINX = EngineInfo("pocketsphinx", "", "5", frozenset({"en"}), True)
WHISPER = EngineInfo("whisper", "", "1", frozenset({"en", "de"}), True)
APERTIUM = EngineInfo("apertium", "", "3", frozenset({"en"}), True, frozenset({("en", "es"), ("en", "ca")}))
OPENAI = EngineInfo("openai", "", "1", frozenset({"de"}), True, frozenset({("de", "es")}))
DEEPFILTER = EngineInfo("deepfilter", "", "1", frozenset(), True)
ESPEAK = EngineInfo("espeak", "", "1", frozenset({"es", "ca"}), True)
FISH = EngineInfo("fish", "", "1", frozenset({"es"}), True)
VOICES = (
    VoiceInfo("espeak:es", "es", "es", "male", "espeak"),
    VoiceInfo("fish:ana", "Ana", "es", "female", "fish"),
    VoiceInfo("espeak:ca", "ca", "ca", "male", "espeak"),
)


class Stages:
    """The stages' answers, without a network."""

    def __init__(self, asr=(POCKETSPHINX,), translation=(APERTIUM,), synthesis=(ESPEAK, FISH), identification=()):
        self.asr, self.translation, self.synthesis = asr, translation, synthesis
        self.identification = identification
        self.asked = 0

    async def asr_engines(self):
        self.asked += 1
        return AsrEngines(self.asr, (), identification=self.identification, separation=(DEEPFILTER,))

    async def translation_engines(self):
        return self.translation

    async def tts_engines(self):
        return self.synthesis

    async def voices(self):
        return VOICES

    async def sample(self, voice, language):
        self.sampled = (voice, language)
        return "https://vendor.example/a.mp3"


def needs(*targets, **changes):
    return replace(EngineNeeds(None, targets or ("es",), {}), **changes)


async def refused(stages, wanted):
    with pytest.raises(InvalidInput) as caught:
        await Catalogue(stages, 60).check(wanted)
    return caught.value.reason


async def test_the_only_language_that_is_understood_is_the_source():
    assert await Catalogue(Stages(), 60).check(needs("es", "ca")) == "en"


async def test_where_several_are_understood_the_source_language_is_required():
    stages = Stages(asr=(WHISPER,), translation=(APERTIUM, OPENAI))
    assert await refused(stages, needs()) == "source_language_required"
    assert await Catalogue(stages, 60).check(needs(source_language="de")) == "de"


async def test_a_language_that_is_not_named_is_left_to_the_job_where_an_engine_identifies_it():
    stages = Stages(asr=(WHISPER,), translation=(APERTIUM, OPENAI), identification=(WHISPER,))
    assert await Catalogue(stages, 60).check(needs("es", "ca")) is None
    assert await Catalogue(stages, 60).check(needs(source_language="de")) == "de"
    assert await refused(stages, needs("fr")) == "unsupported_language_pair"
    away = Stages(asr=(WHISPER,), identification=(replace(WHISPER, available=False),))
    assert await refused(away, needs()) == "source_language_required"


async def test_languages_are_those_that_go_all_the_way():
    stages = Stages(asr=(WHISPER,), translation=(APERTIUM, OPENAI), synthesis=(FISH,))
    found = await Catalogue(stages, 60).languages()
    assert found.pairs == (("de", "es"), ("en", "es"))
    assert (found.sources, found.targets) == (("de", "en"), ("es",))


@pytest.mark.parametrize(
    "stages",
    [
        Stages(asr=(replace(POCKETSPHINX, languages=frozenset({"fr"})),)),
        Stages(translation=(OPENAI,)),
        Stages(synthesis=(replace(ESPEAK, languages=frozenset({"fr"})),)),
        Stages(synthesis=(replace(ESPEAK, available=False), replace(FISH, available=False))),
    ],
    ids=["not understood", "not translated", "not spoken", "engine away"],
)
async def test_a_language_that_some_stage_cannot_do_is_refused(stages):
    assert await refused(stages, needs(source_language="en")) == "unsupported_language_pair"


async def test_a_named_engine_must_serve_the_languages_itself():
    assert await Catalogue(Stages(), 60).check(needs("es", tts_engine="fish")) == "en"
    assert await refused(Stages(), needs("ca", tts_engine="fish")) == "unsupported_language_pair"
    assert await refused(Stages(), needs("es", tts_engine="nobody")) == "unknown_engine"


async def test_a_separator_serves_every_language_and_must_exist():
    assert await Catalogue(Stages(), 60).check(needs("es", separation_engine="deepfilter")) == "en"
    assert await refused(Stages(), needs("es", separation_engine="nobody")) == "unknown_engine"


async def test_voices_belong_to_a_target_language_and_to_the_requested_engine():
    good = needs("es", "ca", voices={"es": {"speaker_1": "fish:ana", "speaker_2": "espeak:es"}, "ca": "espeak:ca"})
    assert await Catalogue(Stages(), 60).check(good) == "en"
    for bad in (
        needs("es", voices={"es": "espeak:ca"}),
        needs("es", voices={"ca": "espeak:ca"}),
        needs("es", voices={"es": {"speaker_1": "espeak:xx"}}),
        needs("es", voices={"es": "espeak:es"}, tts_engine="fish"),
    ):
        assert await refused(Stages(), bad) == "unknown_voice"


async def test_answers_are_remembered_for_a_while_and_fetched_once_for_all_waiting_callers():
    stages = Stages()
    catalogue = Catalogue(stages, 60)
    await asyncio.gather(*(catalogue.check(needs()) for _ in range(20)))
    assert stages.asked == 1
    fresh = Catalogue(stages, 0)
    await fresh.languages()
    await fresh.languages()
    assert stages.asked == 3


async def test_an_error_is_raised_to_all_waiting_callers_and_not_remembered():
    answers = iter([Unavailable("Not now."), "here"])

    async def fetch():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remembered = Remembered(fetch, 60)
    waiting = await asyncio.gather(*(remembered.get() for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in waiting] == [Unavailable] * 3
    assert await remembered.get() == "here"


async def test_a_caller_that_goes_away_does_not_take_the_answer_along():
    release = asyncio.Event()

    async def fetch():
        await release.wait()
        return "here"

    remembered = Remembered(fetch, 60)
    leaving, staying = (asyncio.create_task(remembered.get()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    release.set()
    assert await staying == "here"
    assert leaving.cancelled() or leaving.cancelling()


class Polyglots(Stages):
    """Every voice speaks several languages."""

    async def voices(self):
        return tuple(replace(voice, languages=("en", "es-419", voice.language)) for voice in VOICES)


async def test_a_voice_of_several_languages_is_listed_once_and_with_the_one_that_serves_the_list():
    catalogue = Catalogue(Polyglots(), 60)
    assert [(voice.id, voice.language) for voice in await catalogue.voices("es-MX")] == [
        ("espeak:es", "es-419"),
        ("fish:ana", "es-419"),
        ("espeak:ca", "es-419"),
    ]
    assert [voice.id for voice in await catalogue.voices("ca")] == ["espeak:ca"]
    assert await catalogue.voices("de") == ()


async def test_a_voice_of_several_languages_may_be_chosen_for_each_of_them():
    wanted = needs("es", "ca", voices={"es": "espeak:ca", "ca": "espeak:ca"})
    assert await Catalogue(Polyglots(), 60).check(wanted) == "en"


async def test_a_sample_is_that_of_a_voice_that_exists():
    stages = Stages()
    catalogue = Catalogue(stages, 60)
    assert await catalogue.sample("fish:ana", "es") == "https://vendor.example/a.mp3"
    assert stages.sampled == ("fish:ana", "es")
    with pytest.raises(NotFound) as caught:
        await catalogue.sample("fish:nobody")
    assert caught.value.reason == "unknown_voice"
