"""The report: its figures are those of the evaluation, it is whole and fetches nothing, and shows no value unasked."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from goldenthread.cli.demo import simulate_records
from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.guess import ColumnGuess, GuessedColumn
from goldenthread.resolver.bulk.link import LinkResult, link
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.differences import differences
from goldenthread.resolver.evaluate import evaluate
from goldenthread.resolver.report import Findings, Survey, charts, render, survey
from goldenthread.resolver.report.weights import calibration_error
from goldenthread.resolver.scoring import MatchModel

TYPES: dict[str, SemanticType | None] = {
    "given_name": SemanticType.GIVEN_NAME,
    "surname": SemanticType.SURNAME,
    "birth_date": SemanticType.BIRTH_DATE,
    "email": SemanticType.EMAIL,
    "phone": SemanticType.PHONE,
}


class World:
    """Simulated customers, linked with the shipped model."""

    def __init__(self) -> None:
        records = list(simulate_records(900, seed=11))
        columns = {name: [r.values.get(name, "") for r in records] for name in TYPES}
        columns |= {"source": [r.source for r in records], "record_id": [r.record_id for r in records]}
        self.table = Table(columns, len(records), ("customers",), "source", "record_id")
        self.truth = [str(r.person) for r in records]
        self.result: LinkResult = link(self.table, TYPES, model=MatchModel.shipped())

    def survey(self, *, most_rows: int = 10_000, with_truth: bool = True) -> Survey:
        truth = self.truth if with_truth else None
        return survey(self.table, TYPES, self.result.identities, self.result.model, truth=truth, most_rows=most_rows, seed=3)

    def findings(self, **further: object) -> Findings:
        columns = tuple(GuessedColumn(name, "attribute", kind, "told", 0.9, 5) for name, kind in TYPES.items() if kind)
        found = Findings(
            names=["customers.csv"],
            when="1 May 2025",
            identities=self.result.identities,
            shown=lambda row: (self.result.record_ids[row], ()),
            guess=ColumnGuess(columns),
            report=self.result.report,
            model=self.result.model,
            survey=self.survey(),
            truth=self.truth,
            evaluation=evaluate(self.truth, self.result.identities),
            errors=differences(self.truth, self.result.identities),
        )
        for name, value in further.items():
            setattr(found, name, value)
        return found


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_a_survey_counts_the_pairs_that_an_evaluation_counts(world: World) -> None:
    measures = evaluate(world.truth, world.result.identities)

    found = world.survey()

    assert found.true is not None
    assert found.times[found.same_identity].sum() == measures.claimed_pairs
    assert found.times[found.same_identity & found.true].sum() == measures.correct_pairs
    assert found.true_pairs == measures.true_pairs


def test_a_survey_of_a_sample_of_identities_stands_for_all(world: World) -> None:
    whole = world.survey()

    claimed = [
        float(part.times[part.same_identity].sum())
        for seed in range(30)
        for part in [
            survey(world.table, TYPES, world.result.identities, world.result.model, most_rows=300, seed=seed)
        ]
    ]  # fmt: skip

    assert np.mean(claimed) == pytest.approx(whole.times[whole.same_identity].sum(), rel=0.1)


def test_rules_add_up_to_the_candidates(world: World) -> None:
    found = world.survey(with_truth=False)

    assert sum(rule.only_here for rule in found.rules) <= found.times[found.candidate].sum()
    assert max(rule.pairs for rule in found.rules) <= found.times[found.candidate].sum() + 1e-6
    assert 0 <= found.lost < 1
    assert found.true is None


def test_noted_pairs_are_what_they_are_noted_for(world: World) -> None:
    found = world.survey()
    identities = world.result.identities

    assert found.weakest_links
    assert all(identities[p.left] == identities[p.right] for p in found.weakest_links + found.bridges)
    assert all(identities[p.left] != identities[p.right] for p in found.kept_apart)
    weights = [p.explanation.weight for p in found.weakest_links]
    assert weights == sorted(weights)
    assert all(
        p.explanation.prior + sum(c.weight for c in p.explanation.contributions) == p.explanation.weight
        for p in found.weakest_links + found.kept_apart
    )


def test_probabilities_that_are_true_are_calibrated_and_others_not(world: World) -> None:
    found = world.survey()
    assert found.true is not None
    perfect = msgspec.structs.replace(found, probabilities=found.true.astype(float))
    opposite = msgspec.structs.replace(found, probabilities=1.0 - found.true)

    assert calibration_error(perfect) == 0.0
    assert calibration_error(opposite) == 1.0


class _Tags(HTMLParser):
    """Check that every tag that is opened is closed, and collect what would fetch something."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and (value or "").startswith("#"):
                self.linked.append((value or "")[1:])
            elif name in ("src", "href", "srcset", "action"):
                self.fetched.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that closes itself needs no other."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(world: World) -> None:
    page = render(world.findings())
    tags = _Tags()

    tags.feed(page)

    assert tags.open == []
    assert tags.fetched == []
    assert sorted(tags.ids) == sorted(tags.linked)
    assert {"summary", "columns", "blocking", "comparisons", "weights", "identities", "pairs", "model"} <= set(tags.ids)
    assert not re.search(r"https?://|@import|url\(", page)


def test_no_value_of_a_record_is_in_a_report(world: World) -> None:
    page = render(world.findings())

    shown = {value for name in ("email", "phone") for value in world.table.columns[name] if value and value in page}

    assert shown == set()


def test_values_are_there_when_they_are_shown(world: World) -> None:
    surnames = world.table.columns["surname"]

    page = render(world.findings(shown=lambda row: (str(row), [("surname", surnames[row])])))

    noted = world.survey().weakest_links[0]
    assert f"<td>{surnames[noted.left]}</td>" in page


def test_names_that_look_like_markup_are_text(world: World) -> None:
    column = GuessedColumn("<script>alert(1)</script>", "attribute", SemanticType.EMAIL, "a < b & c", 1.0, 1)

    page = render(world.findings(guess=ColumnGuess((column,)), names=["<b>.csv"], warnings=["x < y"]))

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>.csv" not in page
    assert "x &lt; y" in page


def test_a_learned_model_is_reported_with_its_refinement() -> None:
    world = World()
    result = link(world.table, TYPES)
    found = survey(world.table, TYPES, result.identities, result.model)

    page = render(world.findings(identities=result.identities, model=result.model, report=result.report, survey=found))

    assert f"Model {result.model.version}" in page
    assert ("knots of calibration" in page) == (result.model.refinement is not msgspec.UNSET)


def test_a_report_of_a_result_alone_says_what_there_is() -> None:
    found = Findings(names=["r.csv"], when="now", identities=np.array([0, 0, 1]), shown=lambda row: (str(row), ()))

    page = render(found)

    assert "Identities by size" in page
    assert "Weights and thresholds" not in page


def test_without_truth_curves_are_said_to_be_estimates(world: World) -> None:
    page = render(world.findings(survey=world.survey(with_truth=False), truth=None, evaluation=None, errors=None))

    assert "Estimated from the model" in page
    assert "shows only with the truth" in page


@pytest.mark.parametrize(
    "svg",
    [
        charts.bars("a & b", [], "x"),
        charts.bars("t", [charts.Bar("1", (("a", 0.0),), "<none>")], "x", [(0.5, "here")]),
        charts.curves("t", [], "x"),
        charts.curves("t", [charts.Line("n", "f1", ((1.0, 0.5),))], "x", [(1.0, "m")]),
        charts.calibration('"quoted"', []),
        charts.levels("t", [("g", [charts.Step("<l>", 0.0, "tip")])]),
        charts.mirror("t", [("l", 0.0, 1.0)]),
        charts.waterfall("t", [], 0.0, (0.0, "link")),
        charts.waterfall("t", [charts.Step("prior", -5.0, "p"), charts.Step("email", 9.0, "e")], 4.0, (1.0, "link")),
    ],
)
def test_a_chart_of_little_or_nothing_is_still_a_drawing(svg: str) -> None:
    drawing = ElementTree.fromstring(svg)

    assert drawing.tag == "svg"
    assert drawing.get("aria-label")
