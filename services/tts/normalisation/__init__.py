"""Written text as words to speak: numbers, dates, times, money, units, abbreviations, addresses."""
