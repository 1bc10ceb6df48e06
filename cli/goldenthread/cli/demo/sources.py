"""Write down simulated people as four systems would: a CRM, a web shop, a store till and a bought list.

Each source has its own columns, formats and habits of error. Which person a record is of is kept apart, as `person`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from goldenthread.cli.demo.noise import familiar, one_line, spoil_date, street_line, styled_phone, typo
from goldenthread.cli.demo.people import Address, Person, chance, number, simulate_population

__all__ = ["COLUMNS", "DEFAULT_SEED", "SimulatedConsent", "SimulatedRecord", "simulate_records"]

DEFAULT_SEED = 20250101

COLUMNS: tuple[str, ...] = (
    "given_name",
    "middle_name",
    "surname",
    "name_suffix",
    "name",
    "birth_date",
    "gender",
    "email",
    "phone",
    "street",
    "unit",
    "city",
    "region",
    "postcode",
    "address",
    "loyalty_account",
    "employer",
)
"""Every column that any source fills, in order."""


@dataclass(frozen=True, slots=True)
class SimulatedConsent:
    """What a customer said to being written to, when, and about which contact point (empty: the person)."""

    purpose: str
    is_given: bool
    channel: str
    contact_point: str
    stated_on: dt.date


@dataclass(frozen=True, slots=True)
class SimulatedRecord:
    """One source's view of one person; `values` has the columns it filled, as text; `party` is 0 to 3."""

    source: str
    record_id: str
    party: int
    observed_on: dt.date
    person: int
    values: dict[str, str]
    consents: tuple[SimulatedConsent, ...] = ()


def simulate_records(count: int, seed: int = DEFAULT_SEED) -> Iterator[SimulatedRecord]:
    """Yield so many records, person by person; the same count and seed give the same records everywhere.

    A shorter run is the beginning of a longer one.
    """
    return islice(_records(Random(seed)), count)  # noqa: S311 - simulates, protects nothing


def _records(rng: Random) -> Iterator[SimulatedRecord]:
    """Yield records without end. A person is in one to four sources, in some of them twice."""
    serial = 0
    for person in simulate_population(rng):
        views = []
        if chance(rng, 0.72):
            views.append(_in_crm)
        if chance(rng, 0.55):
            views.append(_in_web_shop)
            if chance(rng, 0.10):
                views.append(_in_web_shop)
        if chance(rng, 0.42):
            views.append(_at_till)
            if chance(rng, 0.15):
                views.append(_at_till)
        if chance(rng, 0.30):
            views.append(_on_bought_list)
        for view in views or [_in_crm]:
            yield view(rng, person, serial)
            serial += 1


def _in_crm(rng: Random, person: Person, serial: int) -> SimulatedRecord:
    """Typed by staff: whole and careful, seldom wrong, sometimes out of date."""
    seen = _day(rng, 2019, 2025)
    home = _home_at(person, seen)
    values = {
        "given_name": typo(rng, person.given) if chance(rng, 0.03) else person.given,
        "surname": _surname_at(rng, person, seen, 0.03),
        "birth_date": _birth_date(rng, person, wrong=0.015).isoformat() if chance(rng, 0.94) else "",
        "gender": person.gender,
        "street": street_line(home, short=False),
        "unit": home.unit,
        "city": home.city,
        "region": home.region,
        "postcode": home.postcode,
    }
    if person.middle and chance(rng, 0.6):
        values["middle_name"] = person.middle if chance(rng, 0.5) else person.middle[0]
    if person.suffix and chance(rng, 0.8):
        values["name_suffix"] = person.suffix
    if chance(rng, 0.8):
        values["email"] = person.email
    if chance(rng, 0.85):
        values["phone"] = styled_phone(rng, person.landline if person.landline and chance(rng, 0.4) else person.mobile)
    consents: tuple[SimulatedConsent, ...] = ()
    if chance(rng, 0.3):
        consents = (SimulatedConsent("marketing.phone", chance(rng, 0.6), "phone", "", seen),)
    return _record("crm", f"C{serial + 100_000}", 1, seen, person, values, consents)


def _in_web_shop(rng: Random, person: Person, serial: int) -> SimulatedRecord:
    """Typed by the customer: the email is right, the name is what friends say, the birth date is mostly kept private."""
    seen = _day(rng, 2020, 2025)
    home = _home_at(person, seen)
    given = familiar(rng, person.given) if chance(rng, 0.22) else person.given
    values = {
        "given_name": typo(rng, given) if chance(rng, 0.04) else given,
        "surname": _surname_at(rng, person, seen, 0.04),
        "email": person.second_email if chance(rng, 0.18) else person.email,
        "street": street_line(home, short=chance(rng, 0.6)),
        "unit": home.unit if chance(rng, 0.8) else "",
        "city": home.city,
        "region": home.region,
        "postcode": home.postcode,
    }
    if chance(rng, 0.1):
        values["street"] = typo(rng, values["street"])
    if chance(rng, 0.15):
        # Typed in a hurry, all in small letters.
        values["given_name"], values["surname"] = values["given_name"].lower(), values["surname"].lower()
    if chance(rng, 0.7):
        values["phone"] = styled_phone(rng, person.mobile)
    if chance(rng, 0.35):
        values["birth_date"] = _birth_date(rng, person, wrong=0.02).strftime("%m/%d/%Y")
    if chance(rng, 0.3):
        values["loyalty_account"] = person.loyalty_number
    consents: tuple[SimulatedConsent, ...] = ()
    if chance(rng, 0.6):
        first = SimulatedConsent("marketing.email", chance(rng, 0.7), "email", values["email"], seen)
        later = min(seen + dt.timedelta(days=number(rng, 20, 400)), dt.date(2025, 12, 31))
        withdrawn = SimulatedConsent("marketing.email", False, "email", values["email"], later)
        consents = (first, withdrawn) if first.is_given and chance(rng, 0.15) else (first,)
    return _record("webshop", f"W{serial + 500_000}", 0, seen, person, values, consents)


def _at_till(rng: Random, person: Person, serial: int) -> SimulatedRecord:
    """Typed by a cashier who listens: one name field, misheard at times, a loyalty card, a phone, a postcode."""
    seen = _day(rng, 2021, 2025)
    home = _home_at(person, seen)
    given = familiar(rng, person.given) if chance(rng, 0.15) else person.given
    given = typo(rng, given) if chance(rng, 0.08) else given
    surname = _surname_at(rng, person, seen, 0.10)
    suffix = f" {person.suffix}" if person.suffix and chance(rng, 0.5) else ""
    values = {
        "name": f"{surname}, {given}{suffix}" if chance(rng, 0.3) else f"{given} {surname}{suffix}",
        "city": home.city,
        "postcode": home.postcode,
    }
    if chance(rng, 0.75):
        values["loyalty_account"] = person.loyalty_number
    if chance(rng, 0.75):
        values["phone"] = styled_phone(rng, person.landline if person.landline and chance(rng, 0.2) else person.mobile)
    if chance(rng, 0.45):
        values["birth_date"] = _birth_date(rng, person, wrong=0.03).strftime("%m/%d/%Y")
    if chance(rng, 0.3):
        values["email"] = typo(rng, person.email) if chance(rng, 0.08) else person.email
    return _record("till", f"T{serial + 900_000}", 1, seen, person, values)


def _on_bought_list(rng: Random, person: Person, serial: int) -> SimulatedRecord:
    """Bought from a trader: capitals, one line for the address, often the former one."""
    seen = _day(rng, 2018, 2023)
    home = _home_at(person, seen)
    if person.former_home and chance(rng, 0.3):
        home = person.former_home
    given = person.given
    middle = f" {person.middle[0]}" if person.middle and chance(rng, 0.5) else ""
    values = {
        "name": f"{given}{middle} {_surname_at(rng, person, seen, 0.05)}".upper(),
        "address": one_line(home).upper(),
        "gender": person.gender,
    }
    if chance(rng, 0.55):
        values["birth_date"] = _birth_date(rng, person, wrong=0.04).isoformat()
    if chance(rng, 0.6):
        values["phone"] = person.landline or person.mobile
    if chance(rng, 0.35):
        values["email"] = person.email.upper()
    if chance(rng, 0.4):
        values["employer"] = person.employer
    return _record("bought_list", f"B{serial + 2_000_000}", 3 if chance(rng, 0.7) else 2, seen, person, values)


def _record(
    source: str,
    record_id: str,
    party: int,
    seen: dt.date,
    person: Person,
    values: dict[str, str],
    consents: tuple[SimulatedConsent, ...] = (),
) -> SimulatedRecord:
    """Put a record together without the columns that stayed empty."""
    filled = {column: value for column, value in values.items() if value}
    return SimulatedRecord(source, record_id, party, seen, person.id, filled, consents)


def _day(rng: Random, first_year: int, last_year: int) -> dt.date:
    """A day within some years."""
    return dt.date(number(rng, first_year, last_year), number(rng, 1, 12), number(rng, 1, 28))


def _home_at(person: Person, day: dt.date) -> Address:
    """Where the person lived on a day."""
    if person.former_home and person.moved_on and day < person.moved_on:
        return person.former_home
    return person.home


def _surname_at(rng: Random, person: Person, day: dt.date, wrong: float) -> str:
    """The surname on a day, spoilt with some probability."""
    before_wedding = person.married_on is not None and day < person.married_on
    surname = person.former_surname if before_wedding else person.surname
    return typo(rng, surname) if chance(rng, wrong) else surname


def _birth_date(rng: Random, person: Person, *, wrong: float) -> dt.date:
    """The birth date, slightly wrong with some probability."""
    return spoil_date(rng, person.birth_date) if chance(rng, wrong) else person.birth_date
