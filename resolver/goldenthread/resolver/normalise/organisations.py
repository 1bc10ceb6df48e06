"""Normalise names of organisations, and tell them from names of persons."""

from __future__ import annotations

import re
from functools import lru_cache

from goldenthread.resolver.normalise.text import CACHE_SIZE, fold, is_placeholder

__all__ = ["is_organisation", "organisation_name"]

_FORMS = frozenset(
    {
        "inc", "incorporated", "llc", "llp", "ltd", "limited", "plc", "corp", "corporation", "gmbh", "mbh", "ggmbh", "ohg",
        "kgaa",
        "gbr", "sarl", "eurl", "sasu", "srl", "srls", "bvba", "bv", "nv", "aps", "oyj", "pty", "pvt", "sdn", "bhd", "pte",
        "ooo",
        "zao", "oao", "pao", "doo", "sro", "kft", "zrt", "ltda", "eireli", "slu", "sau", "spzoo", "asbl", "vzw", "cic",
    }
)  # fmt: skip
"""Legal forms that are nobody's name."""

_SHORT_FORMS = frozenset({"ag", "kg", "ug", "oy", "lp", "sl", "ek", "ev", "eg", "sas"})
_SHORT_FORMS_AND_NAMES = frozenset({"sa", "se", "ab", "as", "co", "spa", "hf"})
"""Legal forms that are also words of names: they count as the last word, and these only in capitals beside small letters."""

_LEFT_OUT = (
    _FORMS | _SHORT_FORMS | _SHORT_FORMS_AND_NAMES | {"company", "cie", "cia", "the", "and", "und", "et", "y", "og", "och"}
)

_WORDS = frozenset(
    {
        "university", "universitat", "universite", "universidad", "universita", "universiteit", "college", "school", "schule",
        "grundschule", "gymnasium", "ecole", "escuela", "hospital", "krankenhaus", "klinik", "klinikum", "clinic", "clinique",
        "clinica", "foundation", "stiftung", "fondation", "fundacion", "fondazione", "fundacao", "verein", "association",
        "asociacion", "associazione", "associacao", "institute", "institut", "instituto", "istituto", "ministry", "ministerium",
        "ministere", "ministerio", "council", "agency", "holding", "holdings", "group", "gruppe", "groupe", "grupo", "gruppo",
        "company", "enterprises", "industries", "services", "solutions", "systems", "consulting", "logistics", "logistik",
        "technologies", "technology", "software", "insurance", "versicherung", "versicherungen", "assurances", "seguros",
        "sparkasse", "volksbank", "raiffeisenbank", "hotel", "restaurant", "pharmacy", "apotheke", "pharmacie", "farmacia",
        "backerei", "baeckerei", "metzgerei", "immobilien", "immobilier", "museum", "federation", "cooperative",
        "genossenschaft", "stadtwerke", "werke", "partners", "associates", "bros", "airlines", "motors", "pharma", "trading",
        "engineering", "transporte", "transports", "construcciones", "spolka", "przedsiebiorstwo", "aktiebolag", "stichting",
    }
)  # fmt: skip
"""Words that stand in names of organisations and are nobody's name."""

_PARTNERS = re.compile(
    r"(?:&|\+|\b(?:and|und|et|y)\b)\s*(?:co|cie|cia|sons?|s(?:ö|oe)hne|partners?|fils|company)\b", re.IGNORECASE
)
_DOTTED = re.compile(r"\b(?:\w\.\s?)+\w\b\.?")
_POLISH = re.compile(r"\bsp\.?\s*z\s*o\.?\s*o\b\.?", re.IGNORECASE)


def _undotted(text: str) -> str:
    """Write forms without their dots: `S. A.` is `SA`, `Sp. z o.o.` is `spzoo`."""
    return (
        _DOTTED.sub(lambda m: m[0].replace(".", "").replace(" ", "") + " ", _POLISH.sub("spzoo", text)) if "." in text else text
    )


def _is_shouted(text: str) -> bool:
    """Say whether the last word alone is in capitals."""
    return text.split()[-1].isupper() and not text.isupper()


@lru_cache(CACHE_SIZE)
def organisation_name(text: str) -> str:
    """Normalise an organisation's name; its legal form goes unless nothing else is left."""
    folded = fold(_undotted(text))
    if is_placeholder(folded):
        return ""
    return " ".join(w for w in folded.split() if w not in _LEFT_OUT) or folded


@lru_cache(CACHE_SIZE)
def is_organisation(text: str) -> bool:
    """Say whether a name is that of an organisation and not of a person: by its legal form, or words nobody is called."""
    plain = _undotted(text)
    words = fold(plain).split()
    if len(words) < 2:
        return False
    last = words[-1]
    if not _WORDS.isdisjoint(words) or not _FORMS.isdisjoint(words[1:]) or (last in _SHORT_FORMS and "," not in text):
        return True
    if last in _SHORT_FORMS_AND_NAMES and "," not in text and (plain != text or _is_shouted(plain)):
        return True
    return _PARTNERS.search(text) is not None
