"""The generator of simulated customers: the same everywhere, and true to its own truth."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from random import Random

import phonenumbers
import pytest

from goldenthread.cli.demo import COLUMNS, SimulatedRecord, simulate_records, write_csv
from goldenthread.cli.demo.names import CITIES, FEMALE, MALE, NICKNAMES, STREETS, SURNAMES
from goldenthread.cli.demo.people import Person, Relation, simulate_population
from goldenthread.cli.demo.sending import to_record


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return list(islice(simulate_population(Random(7)), 4000))


@pytest.fixture(scope="module")
def records() -> list[SimulatedRecord]:
    return list(simulate_records(5000))


def households(people: list[Person]) -> list[list[Person]]:
    together: dict[int, list[Person]] = defaultdict(list)
    for person in people:
        together[person.household].append(person)
    return list(together.values())


def test_the_same_seed_gives_the_same_records_on_every_platform(records: list[SimulatedRecord]) -> None:
    digest = hashlib.sha256(repr([(r.source, r.record_id, r.person, r.values) for r in records]).encode()).hexdigest()

    assert digest == "faf7f69b7a1640d3526f0e8c8ffddbeee606f0e8d61ec9997d8ad46ac2bb3eff"


def test_another_seed_gives_other_people(records: list[SimulatedRecord]) -> None:
    other = list(simulate_records(50, seed=1))

    assert [r.values for r in other] != [r.values for r in records[:50]]


def test_a_shorter_run_is_the_beginning_of_a_longer_one(records: list[SimulatedRecord]) -> None:
    assert list(simulate_records(100)) == records[:100]


def test_twins_are_two_people_born_on_one_day_in_one_house(people: list[Person]) -> None:
    pairs = [[p for p in home if p.relation == Relation.TWIN] for home in households(people)]
    twins = [pair for pair in pairs if pair]

    assert twins
    for first, second in twins:
        assert first.id != second.id
        assert first.given != second.given
        assert (first.birth_date, first.surname, first.home) == (second.birth_date, second.surname, second.home)


def test_fathers_and_sons_share_name_and_house_but_not_a_generation(people: list[Person]) -> None:
    seniors = [p for p in people if p.relation == Relation.SENIOR]
    juniors = {p.household: p for p in people if p.relation == Relation.JUNIOR}

    assert seniors
    for senior in seniors:
        junior = juniors[senior.household]
        assert (senior.given, senior.surname, senior.home) == (junior.given, junior.surname, junior.home)
        assert (senior.suffix, junior.suffix) == ("Sr", "Jr")
        assert junior.birth_date.year - senior.birth_date.year >= 21


def test_children_are_a_generation_younger_than_their_parents(people: list[Person]) -> None:
    for home in households(people):
        parents = [p.birth_date.year for p in home if p.relation == Relation.PARTNER]
        children = [p.birth_date.year for p in home if p.relation in (Relation.CHILD, Relation.TWIN)]
        assert all(child - parents[0] >= 22 for child in children)


def test_some_people_marry_and_some_move(people: list[Person]) -> None:
    married = [p for p in people if p.former_surname]
    moved = [p for p in people if p.former_home]

    assert 0.02 < len(married) / len(people) < 0.15
    assert 0.08 < len(moved) / len(people) < 0.25
    assert all(p.former_surname != p.surname and p.married_on for p in married)
    assert all(p.former_home != p.home and p.moved_on for p in moved)


def test_households_share_a_landline_and_some_couples_an_email(people: list[Person]) -> None:
    larger = [home for home in households(people) if len(home) > 1]

    assert all(len({p.landline for p in home}) == 1 for home in larger)
    assert any(home[0].email == home[1].email for home in larger)


def test_every_phone_number_is_possible_in_its_country(people: list[Person]) -> None:
    wrong = [p.mobile for p in people if not phonenumbers.is_possible_number(phonenumbers.parse(p.mobile, "US"))]

    assert wrong == []


def test_records_come_from_four_sources_with_ids_of_their_own(records: list[SimulatedRecord]) -> None:
    sources = Counter(r.source for r in records)

    assert set(sources) == {"crm", "webshop", "till", "bought_list"}
    assert min(sources.values()) > 300
    assert len({(r.source, r.record_id) for r in records}) == len(records)
    assert {r.party for r in records} == {0, 1, 2, 3}


def test_about_half_of_the_records_are_duplicates(records: list[SimulatedRecord]) -> None:
    share = len({r.person for r in records}) / len(records)

    assert 0.4 < share < 0.6


def test_values_are_filled_columns_only(records: list[SimulatedRecord]) -> None:
    assert all(value and column in COLUMNS for r in records for column, value in r.values.items())


def test_consents_come_with_some_records_and_some_are_withdrawn_later(records: list[SimulatedRecord]) -> None:
    with_consent = [r for r in records if r.consents]
    withdrawn = [r for r in with_consent if len(r.consents) == 2]

    assert 0.1 < len(with_consent) / len(records) < 0.5
    assert withdrawn
    assert all(first.is_given and not later.is_given for first, later in (r.consents for r in withdrawn))


def test_a_record_is_sent_as_its_source_wrote_it(records: list[SimulatedRecord]) -> None:
    simulated = next(r for r in records if r.consents)

    sent = to_record(simulated).to_proto()

    assert {v.attribute: v.text for v in sent.attributes} == simulated.values
    assert len(sent.consents) == len(simulated.consents)
    assert sent.observed_at.ToDatetime().date() == simulated.observed_on


def test_a_csv_has_the_truth_last_and_all_rows_mixed(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "c.csv", 500)

    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 500
    assert list(rows[0]) == ["record_id", "source", *COLUMNS, "truth_id"]
    assert len({row["truth_id"] for row in rows}) == people
    assert [row["truth_id"] for row in rows] != sorted(row["truth_id"] for row in rows)


def test_the_truth_can_be_kept_in_a_file_of_its_own(tmp_path: Path) -> None:
    write_csv(tmp_path / "c.csv", 100, truth=tmp_path / "t.csv")

    assert "truth_id" not in (tmp_path / "c.csv").read_text(encoding="utf-8")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 100


@pytest.mark.parametrize(
    "names", [FEMALE, MALE, SURNAMES, STREETS, CITIES], ids=["female", "male", "surnames", "streets", "cities"]
)
def test_lists_of_names_are_long_and_have_no_repeats(names: tuple[object, ...]) -> None:
    assert len(names) == len(set(names)) >= 80


def test_every_nickname_belongs_to_a_name_on_the_lists() -> None:
    assert set(NICKNAMES) <= {*FEMALE, *MALE}
