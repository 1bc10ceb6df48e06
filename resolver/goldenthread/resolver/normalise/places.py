"""Normalise postal addresses, whole or in parts."""

from __future__ import annotations

import re
from functools import lru_cache

from goldenthread.graph.model import PostalAddress
from goldenthread.resolver.normalise.text import CACHE_SIZE, fold, is_placeholder

__all__ = ["Place", "address_in_parts", "address_line", "is_full_address"]

Place = tuple[str, str, str, str, str, str, str]
"""House number, street, unit, city, region, postcode, country; normalised, each possibly empty."""

_WORDS = {
    "street": "st", "str": "st", "strasse": "st", "avenue": "ave", "av": "ave", "road": "rd", "drive": "dr", "lane": "ln",
    "boulevard": "blvd", "court": "ct", "place": "pl", "square": "sq", "terrace": "ter", "terr": "ter", "circuit": "cct",
    "circle": "cir", "crescent": "cres", "close": "cl", "highway": "hwy", "parkway": "pkwy", "prkwy": "pkwy", "trail": "trl",
    "mount": "mt", "saint": "st", "north": "n", "south": "s", "east": "e", "west": "w", "northeast": "ne", "northwest": "nw",
    "southeast": "se", "southwest": "sw", "gardens": "gdns", "grove": "gr", "heights": "hts", "way": "wy", "route": "rte",
    "calle": "c", "avenida": "ave", "avda": "ave", "avd": "ave", "bd": "blvd", "bld": "blvd", "boul": "blvd", "pza": "plz",
    "piazza": "plz", "paseo": "pso", "carretera": "ctra", "camino": "cno", "chemin": "ch", "che": "ch", "allee": "all",
    "impasse": "imp", "faubourg": "fbg", "viale": "vle", "corso": "cso", "ulica": "ul", "ulitsa": "ul", "aleja": "al",
    "aleje": "al",
    "plac": "pl", "osiedle": "os", "prospekt": "pr", "prosp": "pr", "pereulok": "per", "rua": "r", "travessa": "tv", "rue": "r",
    "straat": "st", "gata": "g", "gatan": "g", "vagen": "v", "sainte": "st",
    "apartment": "apt", "suite": "ste", "building": "bldg", "floor": "fl", "plaza": "plz", "point": "pt", "junction": "jct",
}  # fmt: skip
_UNIT_WORDS = frozenset({"apt", "unit", "flat", "ste", "room", "rm", "number", "no", "lot", "trlr", "fl", "bldg", "app"})
_ENDINGS = (("strasse", "str"), ("straat", "str"), ("gatan", "g"), ("gata", "g"), ("vagen", "v"), ("platz", "pl"))
"""Kinds of streets that are written together with their names, as Hauptstrasse and Hauptstr."""
_COUNTRIES = {
    "usa": "US", "united states": "US", "united states of america": "US", "u s a": "US", "america": "US",
    "uk": "GB", "united kingdom": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "canada": "CA", "australia": "AU", "germany": "DE", "deutschland": "DE", "france": "FR", "spain": "ES", "espana": "ES",
    "italy": "IT", "italia": "IT", "netherlands": "NL", "nederland": "NL", "austria": "AT", "osterreich": "AT",
    "switzerland": "CH", "schweiz": "CH", "belgium": "BE", "ireland": "IE", "portugal": "PT", "poland": "PL", "sweden": "SE",
    "norway": "NO", "denmark": "DK", "finland": "FI", "new zealand": "NZ", "india": "IN", "mexico": "MX", "brazil": "BR",
    "brasil": "BR", "polska": "PL", "sverige": "SE", "norge": "NO", "danmark": "DK", "suomi": "FI", "belgie": "BE",
    "belgique": "BE", "suisse": "CH", "svizzera": "CH", "eire": "IE", "rossiya": "RU", "russia": "RU",
    "rossiiskaya federatsiya": "RU",
    "china": "CN", "japan": "JP", "south korea": "KR", "turkey": "TR", "turkiye": "TR", "ukraine": "UA", "czech republic": "CZ",
    "czechia": "CZ", "cesko": "CZ", "hungary": "HU", "magyarorszag": "HU", "greece": "GR", "argentina": "AR", "chile": "CL",
    "colombia": "CO", "peru": "PE", "south africa": "ZA", "gb": "GB", "usa us": "US",
}  # fmt: skip
_UNIT_IN_LINE = re.compile(
    r"(?:\b(?:apt|apartment|unit|flat|suite|ste|room|rm)\.?\s*(?:no\.?\s*)?|#\s*)([\w-]+)\s*", re.IGNORECASE
)
_NUMBER_FIRST = re.compile(r"(\d+[a-z]?(?: \d+/\d+)?)\s+(.+)")
_NUMBER_LAST = re.compile(r"(.+?)\s+(\d+[a-z]?)$")
_NUMBER_ALONE = re.compile(r"(?:no?\.?\s*)?\d{1,3}\s?[a-zA-Z]?")
_POSTCODES = (
    re.compile(r"\b(\d{5}-\d{3})\b"),  # BR
    re.compile(r"\b(\d{2}-\d{3}|\d{4}-\d{3}|\d{3}-\d{4})\b"),  # PL, PT, JP
    re.compile(r"\b(\d{6})\b"),  # RU, IN, CN, SG
    re.compile(r"\b(\d{5})(?:-\d{4})?\b"),  # US, DE, FR, ES, IT
    re.compile(r"\b([A-Z]{1,2}\d[A-Z\d]?\s*\d[A-Z]{2})\b", re.IGNORECASE),  # GB
    re.compile(r"\b([A-Z]\d[A-Z]\s*\d[A-Z]\d)\b", re.IGNORECASE),  # CA
    re.compile(r"\b(\d{4}\s?[A-Z]{2})\b"),  # NL
    re.compile(r"\b(\d{3} \d{2})\b"),  # SE, CZ, SK, GR
    re.compile(r"\b(\d{4})\b"),  # AU, AT, CH, DK
)


@lru_cache(CACHE_SIZE)
def _worded(text: str) -> str:
    folded = fold(text)
    if is_placeholder(folded):
        return ""
    return " ".join(_WORDS.get(w) or _shortened(w) for w in folded.split())


def _shortened(word: str) -> str:
    """Shorten the kind of street that a word ends in."""
    if len(word) > 6:
        for ending, short in _ENDINGS:
            if word.endswith(ending) and len(word) > len(ending) + 2:
                return word.removesuffix(ending) + short
    return word


@lru_cache(CACHE_SIZE)
def postcode(text: str) -> str:
    """Normalise a postcode: no spaces, upper case, a US ZIP+4 to its five digits; empty for all zeros."""
    code = fold(text.strip().removesuffix(".0")).upper()
    if is_placeholder(code.lower()):
        return ""
    first, _, rest = code.partition(" ")
    if len(first) == 5 and first.isdigit() and len(rest) == 4 and rest.isdigit():
        code = first
    code = code.replace(" ", "")
    if len(code) == 9 and code.isdigit():
        code = code[:5]
    return "" if not code.strip("0") else code


@lru_cache(CACHE_SIZE)
def country(text: str) -> str:
    """Normalise a country to its ISO 3166 code where its name is known."""
    folded = fold(text)
    return "" if is_placeholder(folded) else _COUNTRIES.get(folded, folded.upper())


@lru_cache(CACHE_SIZE)
def unit(text: str) -> str:
    """Normalise a flat or unit: `Apartment 5`, `apt number 5` and `#5` are all `5`."""
    kept = [w for w in _worded(text).split() if w not in _UNIT_WORDS]
    return " ".join(kept)


@lru_cache(CACHE_SIZE)
def _street(text: str) -> tuple[str, str, str]:
    """Split a street line into house number, street and unit."""
    found_unit = ""
    if match := _UNIT_IN_LINE.search(text):
        found_unit = unit(match[1])
        text = f"{text[: match.start()]} {text[match.end() :]}"
    line = _worded(text)
    if match := _NUMBER_FIRST.fullmatch(line):
        # "76th avenue" and "12 de octubre" aside, a leading number before words is the house.
        return match[1], match[2], found_unit
    if match := _NUMBER_LAST.fullmatch(line):
        if match[1].split()[-1] in {"hwy", "rte", "highway", "box", "road", "rd"}:
            return "", line, found_unit
        return match[2], match[1], found_unit
    return "", line, found_unit


@lru_cache(CACHE_SIZE)
def address_in_parts(address: PostalAddress) -> Place:
    """Normalise an address given in parts."""
    number, street, unit_in_street = _street(address.street)
    if address.house_number:
        stated = fold(address.house_number.strip().removesuffix(".0"))
        if number and number != stated:
            street = f"{number} {street}"
        number = stated
    city, region = _worded(address.city), fold(address.region)
    return (
        number.lstrip("0"),
        street,
        unit(address.unit) or unit_in_street,
        city,
        "" if is_placeholder(region) else region,
        postcode(address.postcode),
        country(address.country),
    )


@lru_cache(CACHE_SIZE)
def address_line(text: str) -> Place:
    """Normalise an address written as one text: `street, city, region postcode, country`, best effort."""
    pieces = [p.strip() for p in re.split(r"[,\n;]", text) if p.strip()]
    if not pieces:
        return ("",) * 7
    if len(pieces) > 1 and _NUMBER_ALONE.fullmatch(pieces[1]) and not any(c.isdigit() for c in pieces[0]):
        # As in Italy and Spain: the house number behind a comma of its own.
        pieces[:2] = [f"{pieces[0]} {pieces[1]}"]
    found_country = ""
    if len(pieces) > 1 and (fold(pieces[-1]) in _COUNTRIES):
        found_country = country(pieces.pop())
    code = ""
    for index in range(len(pieces) - 1, 0 if len(pieces) > 1 else -1, -1):
        for pattern in _POSTCODES:
            matches = list(pattern.finditer(pieces[index]))
            if matches and (len(pieces) > 1 or matches[-1].start() > 0):
                code = matches[-1][1]
                pieces[index] = f"{pieces[index][: matches[-1].start()]} {pieces[index][matches[-1].end() :]}".strip()
                break
        if code:
            break
    rest = [p for p in pieces[1:] if p]
    unit_text = ""
    if rest and (match := _UNIT_IN_LINE.fullmatch(rest[0])):
        unit_text = match[1]
        rest = rest[1:]
    region = rest.pop() if len(rest) > 1 else ""
    city = " ".join(rest)
    return address_in_parts(
        PostalAddress(street=pieces[0], unit=unit_text, city=city, region=region, postcode=code, country=found_country)
    )


def is_full_address(place: Place) -> bool:
    """Say whether an address names one door: number, street, and a postcode or city."""
    return bool(place[0] and place[1] and (place[5] or place[3]))
