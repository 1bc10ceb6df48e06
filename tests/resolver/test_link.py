"""Linking a table needs no configuration, keeps relatives apart, and gives the same people with an exported model."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk import learn as learning
from goldenthread.resolver.bulk.link import LinkResult, link
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.scoring import MatchModel, Scorer

TYPES = {
    "first": SemanticType.GIVEN_NAME,
    "last": SemanticType.SURNAME,
    "born": SemanticType.BIRTH_DATE,
    "mail": SemanticType.EMAIL,
    "number": SemanticType.HOUSE_NUMBER,
    "street": SemanticType.STREET,
    "town": SemanticType.CITY,
}
SYLLABLES = ("ba", "ler", "mi", "no", "sta", "ver", "ko", "rin", "dal", "fe", "gus", "ho", "tam", "wil", "pe", "zor")


@dataclass
class People:
    """A table of records and, apart from it, who each record is."""

    columns: dict[str, list[str]]
    truth: list[int]
    source_column: str = "source"
    record_id_column: str = "id"

    @property
    def rows(self) -> int:
        return len(self.truth)


@dataclass
class Maker:
    random: Random
    rows: list[dict[str, str]] = field(default_factory=list)
    truth: list[int] = field(default_factory=list)

    def word(self, least: int) -> str:
        return "".join(self.random.choices(SYLLABLES, k=self.random.randint(least, 3)))

    def typo(self, text: str) -> str:
        place = self.random.randrange(len(text))
        return text[:place] + self.random.choice("abcdefghij0123456789"[10 * text[place].isdigit() :][:10]) + text[place + 1 :]

    def household(self, first_person: int) -> None:
        last, number, street = self.word(2), str(self.random.randint(1, 250)), f"{self.word(2)} street"
        town = self.random.choice(("ely", "york", "bath", "leeds", "truro"))
        for person in range(first_person, first_person + 3):
            known = {
                "first": self.random.choice(self.names), "last": last, "number": number, "street": street, "town": town,
                "born": f"{self.random.randint(1930, 2005)}-{self.random.randint(1, 12):02d}-{self.random.randint(1, 28):02d}",
                "mail": f"{self.word(2)}{self.random.randint(1, 99)}@example.org",
            }  # fmt: skip
            for _ in range(self.random.randint(1, 3)):
                row = dict(known)
                spoilt = self.random.choice(("first", "last", "born", "mail", "street"))
                row[spoilt] = self.random.choice(("", self.typo(row[spoilt]), row[spoilt]))
                self.rows.append(row)
                self.truth.append(person)

    @property
    def names(self) -> list[str]:
        return [a + b for a in SYLLABLES[:12] for b in SYLLABLES[4:12]]


def town_of_households(count: int, seed: int) -> People:
    maker = Maker(Random(seed))
    for household in range(count):
        maker.household(3 * household)
    order = list(range(len(maker.rows)))
    maker.random.shuffle(order)
    columns = {name: [maker.rows[i][name] for i in order] for name in TYPES}
    columns["id"] = [f"r{i}" for i in range(len(order))]
    columns["source"] = ["crm" if i % 3 else "shop" for i in range(len(order))]
    return People(columns, [maker.truth[i] for i in order])


def table(**columns: list[str]) -> People:
    rows = len(next(iter(columns.values())))
    made = {**columns, "id": [str(i) for i in range(rows)], "source": ["s"] * rows}
    return People(made, [0] * rows)


def types_of(records: People) -> dict[str, SemanticType | None]:
    return {name: kind for name, kind in TYPES.items() if name in records.columns}


def pairwise_f1(labels: np.ndarray, truth: list[int]) -> float:
    def pairs(values: list[object]) -> set[tuple[int, int]]:
        groups: dict[object, list[int]] = {}
        for i, v in enumerate(values):
            groups.setdefault(v, []).append(i)
        return {(a, b) for g in groups.values() for n, a in enumerate(g) for b in g[n + 1 :]}

    found, true = pairs(labels.tolist()), pairs(list(truth))
    return 2 * len(found & true) / (len(found) + len(true))


def partition(result: LinkResult) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for record, identity in zip(result.record_ids, result.identities.tolist(), strict=True):
        groups.setdefault(identity, set()).add(record)
    return {frozenset(g) for g in groups.values()}


@pytest.fixture(scope="module")
def town() -> People:
    return town_of_households(200, seed=5)


@pytest.fixture(scope="module")
def linked(town) -> LinkResult:
    return link(town, TYPES, default_country="GB")


def test_people_are_found_among_their_families_without_configuration(town, linked):
    assert linked.report.learned
    assert pairwise_f1(linked.identities, town.truth) > 0.97


def test_the_expected_matches_are_near_the_true_ones(town, linked):
    counts = np.bincount(town.truth)
    true = int((counts * (counts - 1) // 2).sum())

    assert 0.75 * true < linked.report.expected_matches < 1.25 * true


def test_a_sample_of_many_records_teaches_what_all_would(monkeypatch):
    town = town_of_households(900, seed=6)
    monkeypatch.setattr(learning, "_SAMPLED", len(town.truth) // 2)
    counts = np.bincount(town.truth)
    true = int((counts * (counts - 1) // 2).sum())

    sampled = link(town, TYPES, default_country="GB")

    assert pairwise_f1(sampled.identities, town.truth) > 0.95
    assert 0.7 * true < sampled.report.expected_matches < 1.3 * true


def test_however_many_records_there_are_each_has_some_pairs(monkeypatch):
    town = town_of_households(900, seed=6)
    for most in ("_LEAST_PAIRS", "_MOST_PAIRS"):
        monkeypatch.setattr(learning, most, 500)

    types = {column: type for column, type in TYPES.items() if column != "mail"}

    found = link(town, types, default_country="GB")

    assert pairwise_f1(found.identities, town.truth) > 0.95


def test_the_learned_model_given_back_makes_the_same_people(town, linked):
    model = MatchModel.from_json(linked.model.to_json())

    again = link(town, TYPES, model=model, default_country="GB")

    assert partition(again) == partition(linked)


def test_the_order_of_rows_does_not_change_people_under_one_model(town, linked):
    order = list(range(town.rows))
    Random(9).shuffle(order)
    shuffled = People({n: [v[i] for i in order] for n, v in town.columns.items()}, [town.truth[i] for i in order])

    again = link(shuffled, TYPES, model=linked.model, default_country="GB")

    assert partition(again) == partition(linked)


def test_learning_twice_gives_the_same_model(town, linked):
    assert link(town, TYPES, default_country="GB").model.version == linked.model.version


def test_the_learned_artefact_holds_no_value_in_the_clear(town, linked):
    artefact = linked.model.to_json().decode().lower()
    values = {v for name in ("first", "last", "mail", "street") for v in town.columns[name] if len(v) >= 6}

    assert not [v for v in values if v in artefact]


def test_only_pairs_that_share_a_key_are_linked_directly(town, linked):
    report = linked.report

    assert report.links <= report.candidate_pairs
    assert report.candidate_pairs <= sum(r.pairs for r in report.rules)
    assert all(r.only_here <= r.pairs for r in report.rules)


def test_progress_goes_through_the_stages(town):
    heard: list[str] = []

    link(town, TYPES, default_country="GB", progress=lambda stage, share: heard.append(stage))

    assert list(dict.fromkeys(heard)) == ["normalise", "block", "compare", "learn", "score", "cluster"]


def test_records_without_any_evidence_stay_apart():
    records = table(first=["", "", "Ann"], last=["", "", ""])

    result = link(records, {"first": SemanticType.GIVEN_NAME, "last": SemanticType.SURNAME}, model=MatchModel.shipped())

    assert result.identities.tolist() == [0, 1, 2]


def test_equal_rich_records_are_one_person():
    records = table(first=["Konrad"] * 3, last=["Zuse"] * 3, born=["1960-06-22"] * 3)

    result = link(records, types_of(records), model=MatchModel.shipped())

    assert result.identities.tolist() == [0, 0, 0]


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_identical_rows_and_tiny_tables_are_answered(rows):
    records = table(first=["Konrad"] * rows, last=["Zuse"] * rows, born=["1960-06-22"] * rows)

    result = link(records, types_of(records))

    assert set(result.identities.tolist()) == {0}
    assert result.report.warnings


def test_a_file_without_duplicates_says_that_nothing_could_be_learned():
    maker = Maker(Random(3))
    firsts, lasts = [maker.word(3) for _ in range(60)], [maker.word(3) + str(i) for i in range(60)]
    born = [f"{1930 + i}-0{1 + i % 9}-1{i % 9}" for i in range(60)]

    records = table(first=firsts, last=lasts, born=born)

    result = link(records, types_of(records))

    assert not result.report.learned
    assert any("too few duplicates" in w for w in result.report.warnings)
    assert len(set(result.identities.tolist())) == 60


def test_a_column_typed_none_is_ignored(town):
    types = {**TYPES, "mail": None}

    result = link(town, types, default_country="GB")

    assert all(c.name != "email" for c in result.model.comparisons)


def test_identical_columns_of_names_in_any_script_are_linked_alike():
    records = table(first=["Иван", "Ivan"], last=["Петров", "Petrov"], born=["1960-06-22", "22.06.1960"])

    result = link(records, types_of(records), model=MatchModel.shipped(), default_country="DE")

    assert result.identities.tolist() == [0, 0]


def test_a_scorer_gives_bulk_weights(town, linked):
    scorer = Scorer(linked.model)
    a, b = Profile(given=("anna",), surname=("berg",)), Profile(given=("anna",), surname=("berk",))

    assert scorer.explain(a, b).weight == scorer.weights([a, b], np.array([0], np.int32), np.array([1], np.int32))[0]


def test_a_surname_alone_among_given_names_finds_its_person():
    records = town_of_households(200, seed=4)
    first, last = records.columns["first"], records.columns["last"]
    for row in range(0, records.rows, 8):
        if last[row]:
            first[row], last[row] = last[row], ""
    few = {name: kind for name, kind in TYPES.items() if name in ("first", "last", "born", "town")}

    result = link(records, few)

    assert "lone_name" in [spec.name for spec in result.model.comparisons]
    assert pairwise_f1(result.identities, records.truth) > 0.92  # 0.85 where nothing compares them
