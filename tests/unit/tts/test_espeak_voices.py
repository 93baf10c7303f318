"""Reading the listing of espeak-ng."""

from __future__ import annotations

from services.tts.engines.base import Gender
from services.tts.engines.espeak import parse_voices

LISTING = """\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  es              --/M      Spanish_(Spain)    roa/es
 5  es-419          --/M      Spanish_(Latin_America) roa/es-419           (es-mx 6)
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn              (zh-cmn 5)(zh 5)
 5  cmn-latn-pinyin --/M      Chinese_(Mandarin,_latin_as_Pinyin) sit/cmn-Latn-pinyin  (zh-cmn 5)(zh 5)
 5  yue             --/M      Chinese_(Cantonese) sit/yue
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping
 5  piqd            --/M      Klingon            art/piqd
"""


def test_every_language_has_eight_voices_that_alternate_in_gender():
    voices = [one.voice for one in parse_voices(LISTING, "espeak") if one.voice.language == "es"]
    assert [voice.id for voice in voices[:3]] == ["espeak:es", "espeak:es+f2", "espeak:es+m3"]
    assert [voice.gender for voice in voices] == [Gender.MALE, Gender.FEMALE] * 4
    assert voices[1].name == "Spanish (Spain), female 2"
    assert len({voice.id for voice in voices}) == 8


def test_languages_are_tagged_as_bcp_47_and_listed_once():
    listed = parse_voices(LISTING, "espeak")
    languages = list(dict.fromkeys(one.voice.language for one in listed))
    assert languages == ["es", "es-419", "en-GB", "zh", "yue", "tlh"]
    assert len(listed) == 6 * 8


def test_the_program_gets_the_file_of_the_voice():
    names = {one.voice.id: one.name for one in parse_voices(LISTING, "espeak")}
    assert names["espeak:en-GB"] == "gmw/en"
    assert names["espeak:es-419+f2"] == "roa/es-419+f2"


def test_an_empty_listing_has_no_voices():
    assert parse_voices("", "espeak") == []


def test_a_voice_whose_language_is_no_tag_is_left_out_and_the_others_stay():
    strange = " 5  x_1!            --/M      Strange            art/strange\n"
    assert parse_voices(LISTING + strange, "espeak") == parse_voices(LISTING, "espeak")
