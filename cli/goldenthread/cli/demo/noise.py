"""Spoil values the way people and systems do: typos, nicknames, formats."""

from __future__ import annotations

import datetime as dt
from random import Random

from goldenthread.cli.demo.names import NICKNAMES, STREET_KINDS
from goldenthread.cli.demo.people import Address, chance, number, pick

__all__ = ["familiar", "one_line", "spoil_date", "street_line", "styled_phone", "typo"]

_NEIGHBOURS = {
    "a": "qsz", "b": "vgn", "c": "xdv", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gjy", "i": "uok", "j": "hku",
    "k": "jli", "l": "kop", "m": "nj", "n": "bmh", "o": "ipl", "p": "ol", "q": "wa", "r": "etf", "s": "adw", "t": "ryg",
    "u": "yij", "v": "cbf", "w": "qes", "x": "zcs", "y": "tuh", "z": "xa",
}  # fmt: skip
"""Keys beside each other on a keyboard."""


def typo(rng: Random, text: str) -> str:
    """Make one slip: a wrong, missing, doubled or swapped letter. The first letter mostly stays, as with people."""
    if len(text) < 4:
        return text
    at = number(rng, 1, len(text) - 2)
    kind = rng.random()
    if kind < 0.3:
        near = _NEIGHBOURS.get(text[at].lower())
        return text[:at] + pick(rng, near) + text[at + 1 :] if near else text
    if kind < 0.55:
        return text[:at] + text[at + 1 :]
    if kind < 0.75:
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def familiar(rng: Random, given: str) -> str:
    """Give the short form of a name, if it has one."""
    return pick(rng, NICKNAMES[given]) if given in NICKNAMES else given


def spoil_date(rng: Random, date: dt.date) -> dt.date:
    """Get a date slightly wrong: day and month swapped where that is a date, or one part off by one."""
    if date.day <= 12 and chance(rng, 0.5):
        return date.replace(month=date.day, day=date.month)
    if chance(rng, 0.5):
        return date.replace(day=date.day % 28 + 1)
    return date.replace(year=date.year - 1)


def styled_phone(rng: Random, digits: str) -> str:
    """Write a phone number in one of the ways people do."""
    style = int(rng.random() * 5)
    area, exchange, line = digits[:3], digits[3:6], digits[6:]
    if style == 0:
        return digits
    if style == 1:
        return f"({area}) {exchange}-{line}"
    if style == 2:
        return f"{area}-{exchange}-{line}"
    if style == 3:
        return f"{area}.{exchange}.{line}"
    return f"+1 {area} {exchange} {line}"


def street_line(address: Address, *, short: bool) -> str:
    """Write house number and street, in full or abbreviated."""
    return f"{address.house_number} {address.street} {STREET_KINDS[address.street_kind][1 if short else 0]}"


def one_line(address: Address) -> str:
    """Write an address as one line."""
    unit = f" {address.unit}" if address.unit else ""
    return f"{street_line(address, short=True)}{unit}, {address.city}, {address.region} {address.postcode}"
