"""Simulate people: who they are, whom they live with, when they moved or married. Truth only; sources come in `sources`.

Everything is drawn from one `random.Random`, whose `random()` gives the same numbers on every platform.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from goldenthread.cli.demo.names import CITIES, EMAIL_DOMAINS, EMPLOYERS, FEMALE, MALE, STREET_KINDS, STREETS, SURNAMES

__all__ = ["Address", "Person", "Relation", "chance", "number", "pick", "simulate_household"]

T = TypeVar("T")

_YEAR_OF_RECORDS = 2025
_YOUNGEST = 2004
_YOUNGEST_PARENT = 1975


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address in parts; `street_kind` indexes STREET_KINDS."""

    house_number: int
    street: str
    street_kind: int
    unit: str
    city: str
    region: str
    postcode: str
    area_code: str


@dataclass(frozen=True, slots=True)
class Person:
    """One simulated person, with what was so earlier beside what is so now.

    `relation` says why the person may be taken for somebody else: one of Relation's words.
    """

    id: int
    household: int
    relation: str
    given: str
    middle: str
    surname: str
    suffix: str
    gender: str
    birth_date: dt.date
    email: str
    second_email: str
    mobile: str
    landline: str
    home: Address
    former_home: Address | None
    moved_on: dt.date | None
    former_surname: str
    married_on: dt.date | None
    loyalty_number: str
    employer: str


class Relation:
    """Words for how a person stands in the household."""

    SINGLE = "single"
    PARTNER = "partner"
    CHILD = "child"
    TWIN = "twin"
    SENIOR = "senior"
    JUNIOR = "junior"
    FLATMATE = "flatmate"


def pick(rng: Random, items: Sequence[T]) -> T:
    """Draw one item, all equally likely."""
    return items[int(rng.random() * len(items))]


def pick_common(rng: Random, items: Sequence[T]) -> T:
    """Draw one item, the first ones more likely, as names are."""
    return items[int(rng.random() ** 1.8 * len(items))]


def chance(rng: Random, probability: float) -> bool:
    """Say yes with a probability."""
    return rng.random() < probability


def number(rng: Random, low: int, high: int) -> int:
    """Draw a whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def simulate_household(rng: Random, household: int, first_id: int) -> list[Person]:
    """Make one household of one to five people, with ids from `first_id` on."""
    draw = rng.random()
    if draw < 0.42:
        return [_adult(rng, first_id, household, Relation.SINGLE, _address(rng), pick_common(rng, SURNAMES), "")]
    home = _address(rng)
    landline = _phone(rng, home.area_code)
    surname = pick_common(rng, SURNAMES)
    if draw < 0.74:
        return _couple(rng, first_id, household, home, surname, landline)
    if draw < 0.90:
        parents = _couple(rng, first_id, household, home, surname, landline, _YOUNGEST_PARENT)
        return [*parents, *_children(rng, parents, number(rng, 1, 2))]
    if draw < 0.94:
        parents = _couple(rng, first_id, household, home, surname, landline, _YOUNGEST_PARENT)
        return [*parents, *_twins(rng, parents)]
    if draw < 0.97:
        return list(_senior_and_junior(rng, first_id, household, home, surname, landline))
    return [
        _adult(rng, first_id + at, household, Relation.FLATMATE, home, pick_common(rng, SURNAMES), landline) for at in range(3)
    ]


def _couple(
    rng: Random, first_id: int, household: int, home: Address, surname: str, landline: str, youngest: int = _YOUNGEST
) -> list[Person]:
    """Two adults; mostly one surname, some of them married lately and known by another one before."""
    one = _adult(rng, first_id, household, Relation.PARTNER, home, surname, landline, youngest)
    draw = rng.random()
    own = pick_common(rng, SURNAMES)
    other = _adult(rng, first_id + 1, household, Relation.PARTNER, home, own if draw >= 0.75 else surname, landline)
    other = replace(other, birth_date=_near(rng, one.birth_date, 6, youngest))
    if chance(rng, 0.85):
        gender = "F" if one.gender == "M" else "M"
        other = replace(other, gender=gender, given=pick_common(rng, FEMALE if gender == "F" else MALE))
    if draw < 0.18 and own != surname:
        other = replace(other, former_surname=own, married_on=_recent_day(rng))
    if one.former_home:
        # A couple that moved, moved together.
        other = replace(other, former_home=one.former_home, moved_on=one.moved_on)
    else:
        other = replace(other, former_home=None, moved_on=None)
    if chance(rng, 0.06):
        other = replace(other, email=one.email)
    else:
        other = replace(other, email=_email(rng, other.given, other.surname))
    return [one, other]


def _children(rng: Random, parents: Sequence[Person], count: int) -> list[Person]:
    """Grown children at home, with the family's surname and landline."""
    one = parents[0]
    children = []
    for at in range(count):
        child = _adult(rng, one.id + 2 + at, one.household, Relation.CHILD, one.home, one.surname, one.landline)
        year = one.birth_date.year + number(rng, 22, min(36, _YOUNGEST - one.birth_date.year))
        born = dt.date(year, number(rng, 1, 12), number(rng, 1, 28))
        children.append(replace(child, birth_date=born, former_home=one.former_home, moved_on=one.moved_on))
    return children


def _twins(rng: Random, parents: Sequence[Person]) -> list[Person]:
    """Two people born on one day, with one surname, one address and different given names, some with one initial."""
    first, second = _children(rng, parents, 2)
    given = second.given
    same_initial = [n for n in (FEMALE if second.gender == "F" else MALE) if n[0] == first.given[0] and n != first.given]
    if same_initial and chance(rng, 0.4):
        given = pick_common(rng, same_initial)
    while given == first.given:
        given = pick_common(rng, FEMALE if second.gender == "F" else MALE)
    second = replace(second, given=given, birth_date=first.birth_date, email=_email(rng, given, second.surname))
    return [replace(first, relation=Relation.TWIN), replace(second, relation=Relation.TWIN)]


def _senior_and_junior(
    rng: Random, first_id: int, household: int, home: Address, surname: str, landline: str
) -> tuple[Person, Person]:
    """Father and son with one name at one address, a generation apart."""
    senior = replace(
        _adult(rng, first_id, household, Relation.SENIOR, home, surname, landline),
        gender="M",
        given=pick_common(rng, MALE),
        suffix="Sr",
        birth_date=dt.date(number(rng, 1940, 1962), number(rng, 1, 12), number(rng, 1, 28)),
    )
    senior = replace(senior, email=_email(rng, senior.given, surname))
    junior = replace(
        _adult(rng, first_id + 1, household, Relation.JUNIOR, home, surname, landline),
        gender="M",
        given=senior.given,
        middle=senior.middle,
        suffix="Jr",
        birth_date=dt.date(senior.birth_date.year + number(rng, 21, 33), number(rng, 1, 12), number(rng, 1, 28)),
        former_home=senior.former_home,
        moved_on=senior.moved_on,
    )
    return senior, replace(junior, email=_email(rng, junior.given, surname))


def _adult(
    rng: Random,
    person: int,
    household: int,
    relation: str,
    home: Address,
    surname: str,
    landline: str,
    youngest: int = _YOUNGEST,
) -> Person:
    """One adult; one in seven moved during the years that the records span."""
    gender = "F" if chance(rng, 0.5) else "M"
    given = pick_common(rng, FEMALE if gender == "F" else MALE)
    middle = pick_common(rng, FEMALE if gender == "F" else MALE) if chance(rng, 0.6) else ""
    moved = chance(rng, 0.15)
    return Person(
        id=person,
        household=household,
        relation=relation,
        given=given,
        middle=middle,
        surname=surname,
        suffix="",
        gender=gender,
        birth_date=dt.date(number(rng, 1940, youngest), number(rng, 1, 12), number(rng, 1, 28)),
        email=_email(rng, given, surname),
        second_email=_email(rng, given, surname),
        mobile=_phone(rng, home.area_code),
        landline=landline,
        home=home,
        former_home=_address(rng) if moved else None,
        moved_on=_recent_day(rng) if moved else None,
        former_surname="",
        married_on=None,
        loyalty_number=f"6{number(rng, 0, 99_999_999_999):011d}",
        employer=pick(rng, EMPLOYERS),
    )


def _address(rng: Random) -> Address:
    """A postal address somewhere; one in four is a flat."""
    city, region, postcode, area_code = pick_common(rng, CITIES)
    return Address(
        house_number=number(rng, 1, 9899),
        street=pick_common(rng, STREETS),
        street_kind=int(rng.random() ** 2 * len(STREET_KINDS)),
        unit=f"Apt {number(rng, 1, 40)}{pick(rng, 'ABCD')}" if chance(rng, 0.25) else "",
        city=city,
        region=region,
        postcode=f"{postcode}{number(rng, 0, 99):02d}",
        area_code=area_code,
    )


def _phone(rng: Random, area_code: str) -> str:
    """Ten digits of a phone number that the American numbering plan allows."""
    return f"{area_code}{number(rng, 2, 9)}{number(rng, 20, 99)}{number(rng, 0, 9999):04d}"


def _email(rng: Random, given: str, surname: str) -> str:
    """An email address at a domain that can't exist."""
    domain = EMAIL_DOMAINS[int(rng.random() ** 1.5 * len(EMAIL_DOMAINS))]
    tail = number(rng, 1, 9999)
    draw = rng.random()
    if draw < 0.5:
        local = f"{given}.{surname}{tail}"
    elif draw < 0.8:
        local = f"{given[0]}{surname}{tail}"
    else:
        local = f"{surname}{given[:2]}{tail}"
    return f"{local.lower()}@{domain}"


def _recent_day(rng: Random) -> dt.date:
    """A day within the years that the records span, leaving some on either side of it."""
    return dt.date(number(rng, 2021, _YEAR_OF_RECORDS - 1), number(rng, 1, 12), number(rng, 1, 28))


def _near(rng: Random, date: dt.date, years: int, youngest: int) -> dt.date:
    """A birth date some years around another, of a grown-up person."""
    year = min(max(date.year + number(rng, -years, years), 1935), youngest)
    return dt.date(year, number(rng, 1, 12), number(rng, 1, 28))


def simulate_population(rng: Random) -> Iterator[Person]:
    """Make people without end, household by household."""
    person = household = 0
    while True:
        for somebody in simulate_household(rng, household, person):
            yield somebody
            person += 1
        household += 1
