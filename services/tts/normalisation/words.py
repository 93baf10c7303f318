"""The words of each language that neither CLDR nor its number rules have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SYMBOLS = ("€", "$", "£", "¥", "₹", "R$")
CODES = {"EUR": "€", "USD": "$", "US$": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "BRL": "R$"}


@dataclass(frozen=True, slots=True)
class Money:
    """The names of a currency: of one, of several, and of its hundredths; without hundredths those are empty."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of one language."""

    point: str
    """Between a whole number and its fraction."""
    minus: str
    plus: str
    to: str
    """Between the ends of a range."""
    join: str
    """Between an amount and its hundredths."""
    of: str
    """Between a scale and its currency: “millones de euros”; empty where none stands there."""
    address: tuple[str, str, str, str, str]
    """Dot, slash, dash, underscore and at-sign in addresses."""
    clock: tuple[str, str]
    """Templates of a full hour and of an hour with minutes."""
    money: tuple[Money, ...]
    """In the order of `SYMBOLS`."""
    abbreviations: Mapping[str, str]
    number: str
    """Before a number for “No.”."""
    number_signs: tuple[str, ...] = ("№", "#")
    """Signs for it; a number follows."""
    scales: str = ""
    """Pattern of the words that stand between an amount and its currency."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Signs of units beside those that every language has; to CLDR's names."""
    ordinal: str = ""
    """Pattern of an ordinal number, with the group `n`; the groups `f` and `adj` mark its feminine and short form."""
    feminine: str = ""
    """Pattern of words before which a number is feminine."""
    masculine: str = ""
    """Words that the pattern takes for feminine, parted by spaces."""
    aside: str = ""
    """Words before which a number stands for itself, parted by spaces: “el 21 de mayo”."""
    inflected: bool = True
    """True where numbers above one agree with their word as well."""
    years: bool = False
    """True where a year has another reading than a number."""
    first: bool = False
    """True where the first day of a month is an ordinal number."""
    elides: bool = False
    """True where `of` loses its vowel before another."""
    pairs: bool = False
    """True where two digits behind the mark are read as a number."""


LANGUAGES: Mapping[str, Words] = {
    "en": Words(
        point="point", minus="minus", plus="plus", to="to", join="and", of="", number="number",
        address=("dot", "slash", "dash", "underscore", "at"),
        clock=("{h} o'clock", "{h} {m}"),
        money=(
            Money("euro", "euros", "cent", "cents"), Money("dollar", "dollars", "cent", "cents"),
            Money("pound", "pounds", "penny", "pence"), Money("yen", "yen"),
            Money("rupee", "rupees", "paisa", "paise"), Money("real", "reais", "centavo", "centavos"),
        ),
        number_signs=("№", "#", "No.", "Nos."),
        scales="hundred|thousand|million|billion|trillion",
        units={"lb": "mass-pound", "lbs": "mass-pound", "oz": "mass-ounce", "ft": "length-foot", "mi": "length-mile",
               "mph": "speed-mile-per-hour", "hrs": "duration-hour", "sec": "duration-second"},
        ordinal=r"(?P<n>[0-9]+)(?:st|nd|rd|th)",
        abbreviations={
            "Mr.": "Mister", "Mr": "Mister", "Mrs.": "Missus", "Mrs": "Missus", "Ms.": "Miz", "Dr.": "Doctor",
            "Dr": "Doctor", "Prof.": "Professor", "Jr.": "Junior", "Sr.": "Senior", "Gen.": "General",
            "Capt.": "Captain", "Sgt.": "Sergeant", "Lt.": "Lieutenant", "Gov.": "Governor", "Sen.": "Senator",
            "vs.": "versus", "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "approx.": "approximately",
            "Inc.": "Incorporated", "Ltd.": "Limited", "Dept.": "Department", "Ave.": "Avenue", "Blvd.": "Boulevard",
        },
        years=True,
    ),
    "es": Words(
        point="coma", minus="menos", plus="más", to="a", join="con", of="de", number="número",
        address=("punto", "barra", "guion", "guion bajo", "arroba"),
        clock=("{h}", "{h} y {m}"),
        money=(
            Money("euro", "euros", "céntimo", "céntimos"), Money("dólar", "dólares", "centavo", "centavos"),
            Money("libra", "libras", "penique", "peniques"), Money("yen", "yenes"),
            Money("rupia", "rupias"), Money("real", "reales", "centavo", "centavos"),
        ),
        number_signs=("№", "#", "n.º", "N.º", "nº", "Nº", "núm.", "Núm."),
        scales="mil millones|millón|millones|billón|billones",
        ordinal=r"(?P<n>[0-9]+)\.?(?:º|°(?![CF])|(?P<f>ª)|(?P<adj>er)\b)",
        feminine=r".*(?:a|as|ción|ciones|sión|siones|dad|dades)",
        masculine=(
            "día días mapa mapas problema problemas programa programas sistema sistemas tema temas "
            "idioma idiomas clima climas planeta planetas poeta poetas"
        ),
        aside="de del y o u a al en que es por para con sin",
        abbreviations={
            "Sr.": "señor", "Sra.": "señora", "Srta.": "señorita", "Sres.": "señores", "Dr.": "doctor",
            "Dra.": "doctora", "Dña.": "doña", "Prof.": "profesor", "Ud.": "usted", "Uds.": "ustedes",
            "etc.": "etcétera", "p. ej.": "por ejemplo", "Avda.": "avenida", "Av.": "avenida", "pág.": "página",
            "EE. UU.": "Estados Unidos", "EE.UU.": "Estados Unidos", "aprox.": "aproximadamente", "Sto.": "santo",
            "Sta.": "santa", "a. C.": "antes de Cristo", "d. C.": "después de Cristo",
        },
        pairs=True,
    ),
    "fr": Words(
        point="virgule", minus="moins", plus="plus", to="à", join="et", of="de", number="numéro",
        address=("point", "barre oblique", "tiret", "tiret bas", "arobase"),
        clock=("{h} heures", "{h} heures {m}"),
        money=(
            Money("euro", "euros", "centime", "centimes"), Money("dollar", "dollars", "cent", "cents"),
            Money("livre", "livres", "penny", "pence"), Money("yen", "yens"),
            Money("roupie", "roupies"), Money("real", "reais", "centavo", "centavos"),
        ),
        number_signs=("№", "#", "n°", "N°", "nº"),
        scales="million|millions|milliard|milliards",
        ordinal=r"(?P<n>[0-9]+)(?:er|(?P<f>re|ère)|e|ème|nd|nde)\b",
        feminine=r"(?:heures?|minutes?|secondes?|tonnes?|livres?|roupies?|personnes?|femmes?|fois|années?|semaines?|pages?)",
        abbreviations={
            "M.": "monsieur", "MM.": "messieurs", "Mme": "madame", "Mmes": "mesdames", "Mlle": "mademoiselle",
            "Dr": "docteur", "Dr.": "docteur", "Pr": "professeur", "etc.": "et cetera", "p. ex.": "par exemple",
            "c.-à-d.": "c'est-à-dire", "St": "saint", "Ste": "sainte", "av. J.-C.": "avant Jésus-Christ",
            "apr. J.-C.": "après Jésus-Christ", "env.": "environ",
        },
        first=True, pairs=True, elides=True,
    ),
    "it": Words(
        point="virgola", minus="meno", plus="più", to="a", join="e", of="di", number="numero",
        address=("punto", "barra", "trattino", "trattino basso", "chiocciola"),
        clock=("{h}", "{h} e {m}"),
        money=(
            Money("euro", "euro", "centesimo", "centesimi"), Money("dollaro", "dollari", "centesimo", "centesimi"),
            Money("sterlina", "sterline", "penny", "pence"), Money("yen", "yen"),
            Money("rupia", "rupie"), Money("real", "real", "centavo", "centavos"),
        ),
        number_signs=("№", "#", "n.", "n°", "N.", "nº"),
        scales="milione|milioni|miliardo|miliardi",
        ordinal=r"(?P<n>[0-9]+)(?:º|°(?![CF])|(?P<f>ª))",
        feminine=r".*(?:a|zione|sione|tà)",
        aside="di del della e o a al in che è per con su da",
        abbreviations={
            "sig.": "signor", "Sig.": "signor", "sig.ra": "signora", "Sig.ra": "signora", "sig.na": "signorina",
            "dott.": "dottor", "Dott.": "dottor", "dott.ssa": "dottoressa", "Dott.ssa": "dottoressa",
            "prof.": "professor", "Prof.": "professor", "prof.ssa": "professoressa", "ing.": "ingegner",
            "avv.": "avvocato", "ecc.": "eccetera", "es.": "esempio", "pag.": "pagina", "ca.": "circa",
            "a.C.": "avanti Cristo", "d.C.": "dopo Cristo",
        },
        inflected=False, first=True, pairs=True,
    ),
    "pt": Words(
        point="vírgula", minus="menos", plus="mais", to="a", join="e", of="de", number="número",
        address=("ponto", "barra", "hífen", "sublinhado", "arroba"),
        clock=("{h} horas", "{h} e {m}"),
        money=(
            Money("euro", "euros", "cêntimo", "cêntimos"), Money("dólar", "dólares", "centavo", "centavos"),
            Money("libra", "libras", "penny", "pence"), Money("iene", "ienes"),
            Money("rupia", "rupias"), Money("real", "reais", "centavo", "centavos"),
        ),
        number_signs=("№", "#", "n.º", "N.º", "nº", "Nº"),
        scales="mil milhões|milhão|milhões|bilhão|bilhões|trilhão|trilhões",
        ordinal=r"(?P<n>[0-9]+)\.?(?:º|°(?![CF])|(?P<f>ª))",
        feminine=r".*(?:a|as|ção|ções|são|sões|dade|dades)",
        masculine=(
            "dia dias mapa mapas problema problemas programa programas sistema sistemas tema temas "
            "idioma idiomas clima climas planeta planetas"
        ),
        aside="de do da e ou a à ao em no na que é por para com sem",
        abbreviations={
            "Sr.": "senhor", "Sra.": "senhora", "Srta.": "senhorita", "Dr.": "doutor", "Dra.": "doutora",
            "Prof.": "professor", "Profa.": "professora", "etc.": "etcétera", "p. ex.": "por exemplo",
            "Av.": "avenida", "pág.": "página", "aprox.": "aproximadamente", "a.C.": "antes de Cristo",
            "d.C.": "depois de Cristo",
        },
        first=True, pairs=True,
    ),
    "ca": Words(
        point="coma", minus="menys", plus="més", to="a", join="amb", of="de", number="número",
        address=("punt", "barra", "guionet", "guió baix", "arrova"),
        clock=("{h}", "{h} i {m}"),
        money=(
            Money("euro", "euros", "cèntim", "cèntims"), Money("dòlar", "dòlars", "centau", "centaus"),
            Money("lliura", "lliures", "penic", "penics"), Money("ien", "iens"),
            Money("rupia", "rupies"), Money("real", "reals", "centau", "centaus"),
        ),
        number_signs=("№", "#", "núm.", "Núm.", "n.º", "nº"),
        scales="mil milions|milió|milions|bilió|bilions",
        ordinal=r"(?P<n>[0-9]+)(?:r|n|t|è|é|(?P<f>a))\b",
        feminine=r".*(?:a|es|ció|cions|tat|tats)",
        masculine=(
            "dia dies homes mapa mapes problema problemes programa programes sistema sistemes tema "
            "temes idioma idiomes clima climes planeta planetes mes metres quilòmetres "
            "centímetres mil·límetres litres"
        ),
        aside="de del d i o a al en que és per amb",
        abbreviations={
            "Sr.": "senyor", "Sra.": "senyora", "Srta.": "senyoreta", "Dr.": "doctor", "Dra.": "doctora",
            "Prof.": "professor", "etc.": "etcètera", "p. ex.": "per exemple", "Av.": "avinguda", "pàg.": "pàgina",
            "aprox.": "aproximadament", "EUA": "Estats Units",
        },
        pairs=True, elides=True,
    ),
    "de": Words(
        point="Komma", minus="minus", plus="plus", to="bis", join="und", of="", number="Nummer",
        address=("Punkt", "Schrägstrich", "Bindestrich", "Unterstrich", "Ät"),
        clock=("{h} Uhr", "{h} Uhr {m}"),
        money=(
            Money("Euro", "Euro", "Cent", "Cent"), Money("Dollar", "Dollar", "Cent", "Cent"),
            Money("Pfund", "Pfund", "Penny", "Pence"), Money("Yen", "Yen"),
            Money("Rupie", "Rupien"), Money("Real", "Real", "Centavo", "Centavos"),
        ),
        number_signs=("№", "#", "Nr."),
        scales="Million|Millionen|Milliarde|Milliarden|Tausend",
        units={"Min.": "duration-minute", "Std.": "duration-hour", "Sek.": "duration-second"},
        feminine=r"(?:Minuten?|Stunden?|Sekunden?|Tonnen?|Rupien?|Millionen|Million|Milliarden?)",
        abbreviations={
            "Hr.": "Herr", "Hrn.": "Herrn", "Fr.": "Frau", "Dr.": "Doktor", "Prof.": "Professor",
            "usw.": "und so weiter",
            "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt", "bzw.":
            "beziehungsweise", "ca.": "circa", "Str.": "Straße", "evtl.": "eventuell", "inkl.": "inklusive",
            "u. a.": "unter anderem", "u.a.": "unter anderem", "St.": "Sankt", "v. Chr.": "vor Christus",
            "n. Chr.": "nach Christus", "Mio.": "Millionen", "Mrd.": "Milliarden",
        },
        years=True,
    ),
    "hi": Words(
        point="दशमलव", minus="माइनस", plus="प्लस", to="से", join="और", of="", number="नंबर",
        address=("डॉट", "स्लैश", "डैश", "अंडरस्कोर", "ऐट"),
        clock=("{h} बजे", "{h} बजकर {m} मिनट"),
        money=(
            Money("यूरो", "यूरो", "सेंट", "सेंट"), Money("डॉलर", "डॉलर", "सेंट", "सेंट"),
            Money("पाउंड", "पाउंड", "पेंस", "पेंस"), Money("येन", "येन"),
            Money("रुपया", "रुपये", "पैसा", "पैसे"), Money("रियाल", "रियाल"),
        ),
        number_signs=("№", "#", "नं."),
        scales="हज़ार|हजार|लाख|करोड़|अरब",
        units={"किमी": "length-kilometer", "किग्रा": "mass-kilogram", "सेमी": "length-centimeter", "मी": "length-meter",
               "मिमी": "length-millimeter", "ग्रा": "mass-gram"},
        ordinal=r"(?P<n>[0-9]+)(?:वाँ|वां|वें|(?P<f>वीं|वी))",
        abbreviations={"डॉ.": "डॉक्टर", "डॉ॰": "डॉक्टर", "प्रो.": "प्रोफ़ेसर", "श्री.": "श्री", "इत्यादि.": "इत्यादि"},
    ),
}  # fmt: skip
"""By the language's subtag. What `SYMBOLS` and `CODES` leave out, and scales in single letters, stays as written."""
