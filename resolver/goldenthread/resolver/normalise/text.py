# ruff: noqa: RUF001 - the tables hold the very letters that are folded
"""Fold text to what comparing needs: lower case, no accents, plain letters and digits."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from anyascii import anyascii

__all__ = ["CACHE_SIZE", "PLACEHOLDERS", "compact", "fold", "is_placeholder", "words"]

CACHE_SIZE = 1 << 16
"""Entries a normaliser remembers: values repeat across records far more often than records do."""

MAX_LENGTH = 400
"""Characters of a value that take part in comparing; the rest of a longer text is ignored."""

_LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ĳ": "ij",
    # Cyrillic, after ISO 9 and common passport practice
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "к": "k", "л": "l",
    "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts",
    "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya", "і": "i", "є": "ye",
    "ґ": "g",
    # Greek, after ELOT 743
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f",
    "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_APOSTROPHES = frozenset("'’‘`´ʼ")
PLACEHOLDERS = frozenset(
    {
        "", "na", "n a", "none", "null", "nil", "nan", "unknown", "unk", "not known", "not available", "not provided",
        "not applicable", "no name", "missing", "test", "tbd", "tba", "xxx", "xx", "undefined", "anonymous", "default",
        "not given", "not specified", "not stated", "no data", "none given", "tbc", "xxxx", "asdf", "dummy", "noname",
        "unbekannt", "keine angabe", "keine", "inconnu", "inconnue", "non renseigne", "aucun", "aucune", "desconocido",
        "desconocida", "no consta", "ninguno", "sin datos", "sconosciuto", "sconosciuta", "nessuno", "non disponibile",
        "desconhecido", "nenhum", "onbekend", "geen", "nieznany", "nieznane", "brak", "okand", "saknas", "ukjent", "ukendt",
        "tuntematon", "neizvestno", "net",
    }
)  # fmt: skip


@lru_cache(CACHE_SIZE)
def fold(text: str) -> str:
    """Fold to lower-case words of letters and digits, one space between; accents go, other scripts turn Latin."""
    text = text[:MAX_LENGTH]
    if text.isascii():
        lowered = text.lower()
        if lowered.isalnum():
            return lowered
    else:
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        lowered = "".join(_LETTERS.get(c, c) for c in decomposed if not unicodedata.combining(c))
        if not lowered.isascii():
            # Composed again, because Korean syllables come apart; only letters, digits and their marks, no emoji.
            composed = unicodedata.normalize("NFC", lowered)
            lowered = "".join(anyascii(c) if unicodedata.category(c)[0] in "LMN" else c for c in composed).lower()
    kept = "".join(c if c.isalnum() else "" if c in _APOSTROPHES else " " for c in lowered)
    return " ".join(kept.split())


def words(text: str) -> list[str]:
    """Split into folded words."""
    return fold(text).split()


def compact(text: str) -> str:
    """Fold and drop the spaces too."""
    return fold(text).replace(" ", "")


def is_placeholder(folded: str) -> bool:
    """Say whether a folded value stands for no value (`n/a`, `unknown`, ``)."""
    return folded in PLACEHOLDERS
