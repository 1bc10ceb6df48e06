"""Read phone numbers written plainly, as people write them at home: ten times faster than `phonenumbers`, with its answers.

Only digits between spaces, dots, hyphens and brackets are read, and only where the library's own rules for the country leave
one way to read them: no prefix for calling abroad, no country code, no national prefix that is rewritten. All else is left to
it.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc

from goldenthread.resolver.normalise.text import CACHE_SIZE

__all__ = ["is_landline", "national_number"]

_PLAIN = re.compile(r"\(?[0-9](?:[ ().-]{0,3}[0-9]){6,14}")
_NO_DIGITS = str.maketrans("", "", " ().-")
_NEVER = re.compile(r"(?!)")


class _Plan:
    """How one country's plain numbers are read, by the library's metadata."""

    __slots__ = ("abroad", "code", "general", "lengths", "own", "prefix", "stripped_lengths")

    def __init__(self, code: int, metadata: PhoneMetadata, general: PhoneNumberDesc, main: PhoneNumberDesc) -> None:
        self.code = str(code)
        self.abroad = re.compile(metadata.international_prefix or "(?!)")
        prefix = re.compile(metadata.national_prefix_for_parsing or "(?!)")
        rewritten = bool(metadata.national_prefix_transform_rule) or prefix.groups > 0
        # A number that may have a prefix which is rewritten is not for us.
        self.prefix = _NEVER if rewritten else prefix
        self.own = prefix if rewritten else _NEVER
        self.general = re.compile(general.national_number_pattern or "(?!)")
        self.stripped_lengths = frozenset(
            length
            for length in range(2, 18)
            if length not in general.possible_length_local_only
            and length >= general.possible_length[0]
            and (length in general.possible_length or length > general.possible_length[-1])
        )
        self.lengths = frozenset((*main.possible_length, *main.possible_length_local_only))


@lru_cache(512)
def _plan(country: str) -> _Plan | None:
    metadata = PhoneMetadata.metadata_for_region(country, None) if country else None
    if metadata is None or metadata.country_code is None:
        return None
    region = phonenumbers.region_code_for_country_code(metadata.country_code)
    main = PhoneMetadata.metadata_for_region_or_calling_code(metadata.country_code, region)
    if main is None or metadata.general_desc is None or main.general_desc is None or not metadata.general_desc.possible_length:
        return None
    return _Plan(metadata.country_code, metadata, metadata.general_desc, main.general_desc)


def national_number(text: str, country: str) -> str | None:
    """Read a plain national number as E.164; "" when it cannot be a number, None when it is not for us to say."""
    if not _PLAIN.fullmatch(text):
        return None
    plan = _plan(country)
    if plan is None:
        return None
    digits = text.translate(_NO_DIGITS)
    if digits.startswith(plan.code) or plan.abroad.match(digits) or plan.own.match(digits):
        return None
    if found := plan.prefix.match(digits):
        stripped = digits[found.end() :]
        if len(stripped) in plan.stripped_lengths and (
            plan.general.fullmatch(stripped) is not None or plan.general.fullmatch(digits) is None
        ):
            digits = stripped
    return f"+{plan.code}{digits}" if len(digits) in plan.lengths else ""


@lru_cache(512)
def _landlines(code: str) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """Compile what fixed lines and mobiles of a calling code look like; None where there is no such code."""
    region = phonenumbers.region_code_for_country_code(int(code))
    metadata = PhoneMetadata.metadata_for_region(region, None) if region not in ("ZZ", "001") else None
    if metadata is None or metadata.fixed_line is None or metadata.mobile is None:
        return None
    fixed, mobile = metadata.fixed_line.national_number_pattern, metadata.mobile.national_number_pattern
    return (re.compile(fixed or "(?!)"), re.compile(mobile or "(?!)"))


@lru_cache(CACHE_SIZE)
def is_landline(e164: str) -> bool:
    """Say whether an E.164 number is a fixed line and no mobile; where the plan does not tell them apart, as in +1, never."""
    if e164.startswith("+1"):
        return False
    for digits in (1, 2, 3):
        code = e164[1 : 1 + digits]
        patterns = _landlines(code) if code.isdecimal() else None
        if patterns is not None:
            national = e164[1 + digits :]
            return patterns[0].fullmatch(national) is not None and patterns[1].fullmatch(national) is None
    return False
