"""Guard rails: what they say of records, and the law that no identity holds two records that a veto keeps apart."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.guarded import apart, too_large, without_blocked
from goldenthread.resolver.bulk.normalise_columns import normalise_columns
from goldenthread.resolver.clusters import ClusterSettings, Decision, cluster
from goldenthread.resolver.guards import GuardRails, GuardRailsUnreadable, Guards
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.vetoes import barred_links, barred_pairs, first_disagreement

SETTINGS = ClusterSettings(link_weight=1, min_average=0, max_component=50)
NATIONAL_ID, PASSPORT = int(SemanticType.NATIONAL_ID), int(SemanticType.PASSPORT)

documents = st.lists(st.sampled_from([(NATIONAL_ID, "|1"), (NATIONAL_ID, "|2"), (PASSPORT, "x|3")]), unique=True, max_size=2)
profiles = st.tuples(
    st.sampled_from([("ann",), ("bob",)]),
    st.sampled_from([(), ("1980-01-02",), ("1980-02-01",), ("1980-00-00",), ("1980-01-02", "1980-02-01")]),
    documents.map(sorted).map(tuple),
).map(lambda of: Profile(given=of[0], birth_dates=of[1], documents=of[2]))
members = st.lists(st.tuples(st.sampled_from("abcd"), profiles), min_size=2, max_size=30)
every_rails = st.tuples(
    st.sampled_from([(), ("a",), ("a", "b")]),
    st.sampled_from([(), (("b", "c"),), (("b", "c"), ("c", "d"))]),
    st.sampled_from([(), ("a", "d"), ("c",)]),
    st.sampled_from([(), ("national_id",)]),
).map(lambda of: GuardRails(duplicate_free=of[0], never_overlap=of[1], verifying=of[2], single_numbers=of[3]))


def may_not(rails: GuardRails, one: tuple[str, Profile], other: tuple[str, Profile]) -> set[str]:
    """Name the guards that keep two records apart, as their definitions say."""
    (a, p), (b, q) = one, other
    found = set()
    if a == b and a in rails.duplicate_free:
        found.add("duplicate_free")
    if a != b and any({a, b} <= set(sources) for sources in rails.never_overlap):
        found.add("never_overlap")
    verified = {a, b} <= set(rails.verifying)

    def numbers(of: Profile) -> set[str]:
        return {text for kind, text in of.documents if kind == NATIONAL_ID}

    if (verified or rails.single_numbers) and numbers(p) and numbers(q) and not numbers(p) & numbers(q):
        found.add("government_number")

    def dates(of: Profile) -> set[str]:
        return {date for date in of.birth_dates if not date.endswith("00")}

    if verified and dates(p) and dates(q) and not dates(p) & dates(q):
        found.add("verified_birth_date")
    return found


@given(every_rails, members)
def test_claims_disagree_exactly_where_a_guard_keeps_two_records_apart(
    rails: GuardRails, records: list[tuple[str, Profile]]
) -> None:
    guards = Guards(rails)

    vetoes = guards.vetoes(records)

    barred = {pair: may_not(rails, records[pair[0]], records[pair[1]]) for pair in combinations(range(len(records)), 2)}
    expected = Counter(guard for guards_of in barred.values() for guard in guards_of)
    assert (Counter() if vetoes is None else vetoes.fired()) == expected
    if vetoes is None:
        return
    groups = [{subject: frozenset({values}) for subject, values in claims.items()} for claims in vetoes.claims]
    apart_ones = {pair for pair, guards_of in barred.items() if guards_of}
    assert {(a, b) for a, b, _ in barred_pairs(groups)} == apart_ones
    assert all(subject == first_disagreement(groups[a], groups[b]) for a, b, subject in barred_pairs(groups))
    left, right = (np.array(side) for side in np.triu_indices(len(records), 1))
    assert barred_links(groups, left, right).tolist() == [pair in apart_ones for pair in zip(left, right, strict=True)]


@given(every_rails, members, st.integers(0, 1 << 30), st.sampled_from([50, 4]), st.data())
def test_no_identity_holds_two_records_that_a_veto_bars_unless_a_decision_says_so(
    rails: GuardRails, records: list[tuple[str, Profile]], seed: int, most: int, data: st.DataObject
) -> None:
    n = len(records)
    weights = np.random.default_rng(seed).integers(-2, 6, (n, n))
    weights = np.minimum(weights, weights.T)
    overriding = data.draw(st.booleans())
    pair = data.draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))
    merge = Decision(1, True, pair[:1], pair[1:], overrides_veto=overriding)

    found = cluster(
        [(source, str(i)) for i, (source, _) in enumerate(records)],
        [profile.encode() for _, profile in records],
        weights,
        [merge],
        ClusterSettings(1, 0, most),
        Guards(rails).vetoes(records),
    )

    together = [(i, j) for i, j in combinations(range(n), 2) if found.labels[i] == found.labels[j]]
    wrong = {(i, j) for i, j in together if may_not(rails, records[i], records[j])}
    if overriding:
        assert found.labels[pair[0]] == found.labels[pair[1]]
        # What was put together by hand holds a disagreement; nothing joins it that disagrees with anybody in it.
        wrong -= {(min(pair), max(pair))}
    assert wrong == set()


def test_clean_sources_are_linked_one_to_one_by_the_best_evidence() -> None:
    # Two sources of three records each: every record is a link with two of the other source, and best with its own.
    weights = np.full((6, 6), -5)
    for i, j, weight in [(0, 3, 9), (1, 4, 8), (2, 5, 7), (0, 4, 5), (1, 5, 5), (2, 3, 5), (0, 1, 9), (3, 4, 9)]:
        weights[i, j] = weights[j, i] = weight
    sources = ["crm"] * 3 + ["shop"] * 3
    records = [(source, Profile(given=(str(i),))) for i, source in enumerate(sources)]
    guards = Guards(GuardRails(duplicate_free=("crm", "shop")))

    found = cluster(
        [(source, str(i)) for i, source in enumerate(sources)],
        [bytes([i]) for i in range(6)],
        weights,
        (),
        SETTINGS,
        guards.vetoes(records),
    )

    assert found.labels == [0, 1, 2, 0, 1, 2]
    assert {cut.subject for cut in found.cuts if cut.by == "veto"} == {("duplicate_free", "crm")}


@pytest.mark.parametrize(
    ("blocked", "problem"), [("value: nonsense", "can't be read as email"), ("digest: ab", "write them out")]
)
def test_blocked_values_that_say_nothing_are_refused(blocked: str, problem: str) -> None:
    with pytest.raises(GuardRailsUnreadable, match=problem):
        Guards.in_the_clear(GuardRails.read(f"blocked: [{{type: email, {blocked}}}]"), "US")


def test_ten_thousand_equal_records_of_a_source_without_duplicates_are_kept_apart_at_once() -> None:
    n = 10_000
    guards = Guards(GuardRails(duplicate_free=("crm",)))
    records = [("crm", Profile(given=("ann",)))] * n + [("shop", Profile(given=("ann",)))]
    vetoes = guards.vetoes(records)
    assert vetoes is not None

    found = cluster(
        [(source, f"{i:05}") for i, (source, _) in enumerate(records)],
        [b"same"] * (n + 1),
        lambda left, right: np.full(len(left), 9),
        (),
        SETTINGS,
        vetoes,
        explain=False,
    )

    assert len(set(found.labels)) == n
    assert found.labels[n] == found.labels[0]
    assert vetoes.fired() == {"duplicate_free": n * (n - 1) // 2}


def test_profiles_are_apart_where_all_their_records_are_of_declared_sources() -> None:
    guards = Guards(GuardRails(duplicate_free=("a",), never_overlap=(("a", "b"),)))
    separate = apart(guards, np.array([0, 1, 2, 2, 3, 4, 0]), ["a", "a", "a", "c", "b", "c", "a"])
    assert separate is not None
    left, right = (side.astype(np.int32) for side in np.triu_indices(5, 1))

    barred = separate.barred(left, right)

    assert {(int(i), int(j)) for i, j in zip(left[barred], right[barred], strict=True)} == {(0, 1), (0, 3), (1, 3)}
    assert apart(Guards(GuardRails()), np.array([0]), ["a"]) is None
    assert apart(guards, np.array([0]), ["c"]) is None


def test_blocked_values_are_no_evidence_and_make_no_candidates() -> None:
    columns = {
        "first": ["Ann", "Bob", "Ann"],
        "last": ["Smith", "Jones", "Smith"],
        "phone": ["+1 415 555 2671", "+14155552671", "(415) 555-2672"],
        "mail": ["info@shop.example", "info@shop.example", "ann@mail.example"],
        "member": ["0001234", "0001234", "7654321"],
    }
    types = {
        "first": SemanticType.GIVEN_NAME,
        "last": SemanticType.SURNAME,
        "phone": SemanticType.PHONE,
        "mail": SemanticType.EMAIL,
        "member": SemanticType.LOYALTY_ACCOUNT,
    }
    rails = GuardRails.read(
        "blocked: [{type: phone, value: 415-555-2671}, {type: email, value: Info@Shop.example},"
        " {type: loyalty_account, value: '0001234'}]"
    )
    blocker = Guards.in_the_clear(rails, "US").blocker
    assert blocker is not None
    frame = normalise_columns(columns, types, "US", 3, lambda share: None)

    cleaned = without_blocked(frame, blocker)

    expected = [blocker.cleaned(frame.profile(row)) for row in range(3)]
    assert [cleaned.profile(row) for row in range(3)] == expected
    assert (expected[0].phones, expected[0].emails, expected[0].documents) == ((), (), ())
    assert expected[0].given == ("ann",)
    assert expected[2] == frame.profile(2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_identities_too_large_are_counted(rows: list[tuple[int, int]], records: int, most: int) -> None:
    labels, points = (np.array(column) for column in zip(*rows, strict=True))

    found = too_large(GuardRails(max_records=records, max_profiles=most), labels, points)

    of = [[point for label, point in rows if label == one] for one in set(labels.tolist())]
    assert found == sum((0 < records < len(held)) or (0 < most < len(set(held))) for held in of)


def test_guard_rails_are_read_as_they_are_written() -> None:
    rails = GuardRails(duplicate_free=("crm",), never_overlap=(("shop", "bank"),), verifying=("register",))

    assert GuardRails.read(rails.to_yaml()) == rails
    assert GuardRails.from_json(rails.to_json()) == rails
    assert GuardRails.read("") == GuardRails()
    assert rails.version != GuardRails().version


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("duplicate_free: crm", "duplicate_free"),
        ("duplicate_fre: [crm]", "duplicate_fre"),
        ("never_overlap: [[crm]]", "fewer than two sources"),
        ("single_numbers: [email]", "is no number"),
        ("format: 9", "format 9"),
        ("max_records: -1", "below 0"),
        ("blocked: [{type: person_name, value: Ann}]", "can't be blocked"),
        ("blocked: [{type: email}]", "either a value or a digest"),
        ("[", "no YAML"),
    ],
)
def test_what_is_wrong_with_guard_rails_is_said(text: str, problem: str) -> None:
    with pytest.raises(GuardRailsUnreadable, match=problem):
        GuardRails.read(text)
