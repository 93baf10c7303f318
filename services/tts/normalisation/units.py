"""Signs of units, and their names in every language of CLDR."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import format_decimal
from babel.units import format_unit

UNITS: Mapping[str, str] = {
    "mm": "length-millimeter", "cm": "length-centimeter", "m": "length-meter", "km": "length-kilometer",
    "m²": "area-square-meter", "m2": "area-square-meter", "km²": "area-square-kilometer",
    "km2": "area-square-kilometer", "ha": "area-hectare", "m³": "volume-cubic-meter", "m3": "volume-cubic-meter",
    "ml": "volume-milliliter", "mL": "volume-milliliter", "cl": "volume-centiliter", "l": "volume-liter",
    "L": "volume-liter", "mg": "mass-milligram", "g": "mass-gram", "kg": "mass-kilogram", "t": "mass-tonne",
    "km/h": "speed-kilometer-per-hour", "m/s": "speed-meter-per-second",
    "°C": "temperature-celsius", "ºC": "temperature-celsius", "°F": "temperature-fahrenheit", "°": "angle-degree",
    "%": "concentr-percent", "‰": "concentr-permille",
    "ms": "duration-millisecond", "s": "duration-second", "min": "duration-minute", "h": "duration-hour",
    "Hz": "frequency-hertz", "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz",
    "W": "power-watt", "kW": "power-kilowatt", "MW": "power-megawatt", "kWh": "energy-kilowatt-hour",
    "V": "electric-volt", "kB": "digital-kilobyte", "KB": "digital-kilobyte", "MB": "digital-megabyte",
    "GB": "digital-gigabyte", "TB": "digital-terabyte",
}  # fmt: skip
"""By sign, CLDR's name."""


@lru_cache(maxsize=1024)
def unit_name(unit: str, plural: str, locale: Locale) -> str:
    """The full name of a unit after a number of this plural form, for example `other`: kilometres."""
    samples = (Decimal(1), Decimal(2), Decimal(5), Decimal(1_000_000), Decimal("1.5"))
    sample = next((one for one in samples if locale.plural_form(one) == plural), samples[1])
    named = format_unit(sample, unit, length="long", locale=locale)
    return " ".join(named.replace(format_decimal(sample, locale=locale), "").split())
