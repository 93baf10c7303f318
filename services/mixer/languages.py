"""Language codes: BCP-47 as the platform speaks, ISO 639-2/T as media files do."""

from __future__ import annotations

import re

UNKNOWN = "und"

_PAIRS = (
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bhbih bibis bmbam "
    "bnben bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe "
    "elell eneng eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj "
    "gvglv hahau heheb hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl "
    "itita iuiku jajpn jvjav kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor "
    "kykir lalat lbltz lglug lilim lnlin lolao ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa "
    "mtmlt mymya nanau nbnob ndnde nenep ngndo nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs "
    "papan pipli plpol pspus ptpor quque rmroh rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk "
    "slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl "
    "tntsn toton trtur tstso tttat twtwi tytah uguig ukukr ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid "
    "yoyor zazha zhzho zuzul"
)
"""ISO 639-1 followed by ISO 639-2/T."""
_TO_3 = {pair[:2]: pair[2:] for pair in _PAIRS.split()}
_TO_2 = {three: two for two, three in _TO_3.items()}
_OLD = (
    "albsq armhy baqeu burmy chizh czecs dutnl frefr geoka gerde greel iceis macmk maomi mayms perfa rumro slosk "
    "tibbo welcy"
)
"""ISO 639-2/B, which Matroska files carry, followed by ISO 639-1."""
_OLD_TO_2 = {pair[:3]: pair[3:] for pair in _OLD.split()}


def to_iso639(bcp47: str) -> str:
    """Three letters for a file's language tag: `es-MX` → `spa`; `und` where there is no such code."""
    primary = bcp47.replace("_", "-").split("-")[0].lower()
    if re.fullmatch(r"[a-z]{3}", primary):
        return primary
    return _TO_3.get(primary, UNKNOWN)


def to_bcp47(tag: str) -> str:
    """BCP-47 for a file's language tag: `spa` → `es`; empty for none or `und`."""
    primary = tag.replace("_", "-").split("-")[0].lower()
    if primary in ("", UNKNOWN, "mul", "zxx"):
        return ""
    return _TO_2.get(primary) or _OLD_TO_2.get(primary) or primary
