"""Normalise names of persons and organisations."""

from __future__ import annotations

import re
from functools import lru_cache

from goldenthread.graph.model import PersonName
from goldenthread.resolver.normalise.nicknames import NICKNAMES
from goldenthread.resolver.normalise.text import CACHE_SIZE, fold, is_placeholder

__all__ = [
    "PARTICLES",
    "SOUNDS",
    "SOUND_OF",
    "SPELLINGS",
    "SPELLING_OF",
    "TITLES",
    "formal_names",
    "name_part",
    "person_name",
    "phonetic",
    "spelling",
]

TITLES = frozenset(
    {
        "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "dame", "lord", "lady", "rev", "reverend", "hon",
        "herr", "frau", "monsieur", "madame", "mme", "mlle", "sra", "srta", "capt", "captain", "col",
        "colonel", "lt", "sgt", "baron", "baronet", "bt", "bart", "baroness", "earl", "viscount", "count",
        "duke", "marquess", "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th", "esq",
        "phd", "md", "mba", "cpa", "dds",
    }
)  # fmt: skip
_SUFFIXES = {
    "jr": "jr", "jnr": "jr", "junior": "jr", "sr": "sr", "snr": "sr", "senior": "sr",
    "ii": "2", "iii": "3", "iv": "4", "fils": "jr", "pere": "sr", "hijo": "jr", "filho": "jr",
}  # fmt: skip
_SUFFIX_COLUMN = _SUFFIXES | {"i": "1", "v": "5", "1st": "1", "2nd": "2", "3rd": "3", "4th": "4"}
PARTICLES = frozenset(
    {
        "van", "von", "der", "den", "de", "del", "della", "di", "da", "dos", "das", "du", "la", "le", "el", "al", "bin", "ibn",
        "ben", "ter", "ten", "zu", "af", "av", "st", "saint", "mac", "mc", "vom", "zum", "zur", "op", "het", "dal", "degli",
        "do",
        "los", "las", "san", "santa", "bint", "abu",
    }
)  # fmt: skip
_EAST_ASIAN = re.compile(r"[\u4e00-\u9fff]{2,4}|[\uac00-\ud7a3]{2,4}")
_TWO_LETTER_SURNAMES = frozenset(
    {
        "欧阳", "歐陽", "司马", "司馬", "上官", "诸葛", "諸葛", "司徒", "东方", "東方", "独孤", "南宫", "夏侯", "皇甫", "尉迟",
        "公孙", "慕容", "令狐", "남궁", "황보", "제갈", "사공", "선우",
    }
)  # fmt: skip


@lru_cache(CACHE_SIZE)
def name_part(text: str) -> str:
    """Normalise one part of a person's name; titles go. Empty when nothing usable is left."""
    folded = fold(text)
    if is_placeholder(folded):
        return ""
    if folded in TITLES:
        return ""
    if " " in folded:
        folded = " ".join(w for w in folded.split() if w not in TITLES)
    # A "name" of digits alone is somebody's number, not a name.
    return "" if folded.isdigit() else folded


def generation_suffix(text: str) -> str:
    """Normalise a generation suffix to `jr`, `sr` or a number; empty when it is none."""
    return _SUFFIX_COLUMN.get(fold(text).replace(" ", ""), "")


@lru_cache(CACHE_SIZE)
def split_full_name(text: str) -> tuple[str, str, str, str]:
    """Split a whole name written as one text into given, middle, surname, suffix, as written in the West.

    `Surname, Given Middle` is understood; particles (`van der`) stay with the surname. A single word is a surname, unless it is
    in Chinese or Korean letters, which put a surname of one letter (of a few known, two) first.
    """
    if (found := _EAST_ASIAN.fullmatch(text.strip())) is not None:
        whole = found[0]
        length = 2 if len(whole) == 4 or whole[:2] in _TWO_LETTER_SURNAMES else 1
        return name_part(whole[length:]), "", name_part(whole[:length]), ""
    head, comma, tail = text.partition(",")
    suffix = ""
    if comma and fold(tail).replace(" ", "") in _SUFFIXES:
        suffix, tail, comma = _SUFFIXES[fold(tail).replace(" ", "")], "", ""
    if comma and not all(w in TITLES for w in fold(tail).split()):
        given_words = name_part(tail).split()
        surname_words = name_part(head).split()
        for words in (given_words, surname_words):
            if len(words) > 1 and words[-1] in _SUFFIXES:
                suffix = _SUFFIXES[words.pop()]
        given, middle = (given_words[0], given_words[1:]) if given_words else ("", [])
        return given, " ".join(middle), " ".join(surname_words), suffix
    parts = name_part(head).split()
    if len(parts) > 2 and parts[-1] in _SUFFIXES:
        suffix = _SUFFIXES[parts.pop()]
    if not parts:
        return "", "", "", suffix
    if len(parts) == 1:
        return "", "", parts[0], suffix
    start = len(parts) - 1
    while start > 1 and parts[start - 1] in PARTICLES:
        start -= 1
    return parts[0], " ".join(parts[1:start]), " ".join(parts[start:]), suffix


def _without_suffix(part: str) -> tuple[str, str]:
    """Cut a generation suffix off the end of a part of several words; answer both."""
    head, _, last = part.rpartition(" ")
    return (head, _SUFFIXES[last]) if head and last in _SUFFIXES else (part, "")


@lru_cache(CACHE_SIZE)
def person_name(name: PersonName) -> tuple[str, str, str, str]:
    """Normalise a name in parts to (given, middle, surname, suffix); a suffix written with another part is found."""
    given, middle, surname = name_part(name.given), name_part(name.middle), name_part(name.surname)
    suffix = generation_suffix(name.suffix)
    surname, in_surname = _without_suffix(surname)
    given, in_given = _without_suffix(given)
    suffix = suffix or in_surname or in_given
    if not middle and " " in given:
        given, middle = given.split(" ", 1)
    return given, middle, surname, suffix


@lru_cache(CACHE_SIZE)
def formal_names(given: str) -> frozenset[str]:
    """Name the formal given names that a normalised given name may stand for, itself included."""
    return NICKNAMES.get(given, frozenset()) | {given}


SPELLINGS = (
    ("ae", "a"), ("oe", "o"), ("ue", "u"), ("ou", "u"), ("tsch", "C"), ("shch", "C"), ("tch", "C"), ("tsh", "C"), ("ch", "C"),
    ("cz", "C"), ("sch", "S"), ("sh", "S"), ("sz", "S"), ("zh", "Z"), ("kh", "h"), ("ph", "f"), ("th", "t"), ("gh", "g"),
    ("ts", "z"), ("tz", "z"), ("qu", "kv"), ("ck", "k"), ("ks", "x"), ("dj", "j"),
)  # fmt: skip
SPELLING_OF = str.maketrans({"c": "k", "q": "k", "w": "v", "y": "i", "j": "i", " ": None})


@lru_cache(CACHE_SIZE)
def spelling(name: str) -> str:
    """Spell a normalised name in the one way that stands for the usual ways of spelling and transliterating it.

    Umlauts written out, `y` and `j` for `i`, `w` for `v`, `c` for `k`, letters doubled, parts joined: Mueller is as Muller,
    Yuliia as Julia, De la Cruz as Delacruz. Not a sound: vowels stay.
    """
    text = name
    for letters, one in SPELLINGS:
        if letters in text:
            text = text.replace(letters, one)
    kept = ""
    for letter in text.translate(SPELLING_OF):
        if not kept.endswith(letter):
            kept += letter
    if kept.endswith("of"):
        kept = kept[:-1] + "v"
    return kept


SOUNDS = (
    ("sch", "S"), ("tch", "C"), ("ph", "f"), ("ck", "k"), ("ght", "t"), ("gh", "g"), ("kn", "n"), ("wr", "r"), ("sh", "S"),
    ("ch", "C"),    ("th", "t"), ("dt", "t"), ("ts", "s"), ("tz", "s"), ("qu", "k"),
)  # fmt: skip
SOUND_OF = str.maketrans(
    {
        "b": "p", "p": "p", "f": "f", "v": "f", "w": "f", "c": "k", "k": "k", "q": "k", "g": "k", "x": "k", "d": "t", "t": "t",
        "j": "C", "z": "s", "s": "s", "m": "m", "n": "m", "l": "l", "r": "r", "y": None, "h": None, "a": None, "e": None,
        "i": None, "o": None, "u": None, "S": "s", "C": "C", " ": None,
    }
)  # fmt: skip


@lru_cache(CACHE_SIZE)
def phonetic(name: str) -> str:
    """Code how a normalised name sounds: at most five consonant sounds, a leading vowel as `A`, repeats as one."""
    text = name
    for letters, sound in SOUNDS:
        if letters in text:
            text = text.replace(letters, sound)
    coded = text.translate(SOUND_OF)
    kept = "A" if name[:1] in "aeiouy" and name else ""
    for sound in coded:
        if not kept.endswith(sound):
            kept += sound
    return kept[:5]
