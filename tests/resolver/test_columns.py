"""Linking in columns gives exactly what profiles, keys, levels and clusters give one by one."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldenthread.graph.model import AttributeValue, SemanticType
from goldenthread.resolver.blocking import PARTS, BlockingRule, part_values, rule_keys
from goldenthread.resolver.bulk.cut import Guarding, cut
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.levels import ColumnLevels, feature_of
from goldenthread.resolver.bulk.normalise_columns import normalise_columns
from goldenthread.resolver.bulk.packed import candidates_among
from goldenthread.resolver.bulk.pairs import PairCounts, blocks_of, identifier_block, part_feature, stream_pairs
from goldenthread.resolver.bulk.text_column import TextColumn
from goldenthread.resolver.bulk.weigh import ColumnScorer
from goldenthread.resolver.clusters import ClusterSettings, cluster
from goldenthread.resolver.guards import GuardRails, Guards
from goldenthread.resolver.normalise import Profile, identifiers, profile_of
from goldenthread.resolver.scoring import MatchModel, Scorer

T = SemanticType

WRITTEN = {
    T.GIVEN_NAME: ["Ann", "Mary Ann", "Dr", "bob", "Robert", "J.", "n/a", "Иван"],
    T.MIDDLE_NAME: ["A", "lee", "van der", ""],
    T.SURNAME: ["Smith", "Smith Jr", "van der Berg", "O'Neil", "Smyth", "12"],
    T.NAME_SUFFIX: ["Jr", "II", "x"],
    T.PERSON_NAME: ["Ann Smith", "Smith, Ann Lee", "Bob van der Berg Jr", "Ann Lee Smith"],
    T.OTHER_NAME: ["Jones", "Ann Jones"],
    T.ORGANISATION_NAME: ["Acme Ltd", "ACME", "Bolt & Co"],
    T.BIRTH_DATE: ["1980-01-02", "02/01/1980", "1980-01-03", "1981-01-02", "1980", "1980-00-00", "1900-01-01", "x"],
    T.GENDER: ["m", "Female", "f"],
    T.EMAIL: ["ann@x.org", "ann+a@x.org", "an@x.org", "ann@y.org", "test@x.org", "bob.smith@mail.example"],
    T.PHONE: ["415-555-2671", "(415) 555-2672", "+14155552671", "07700 900123", "1"],
    T.ADDRESS: ["1 High St, Ely, CB7 4AA", "Flat 2, 1 High Street, Ely"],
    T.STREET: ["High Street", "1 High St", "Main Rd Apt 4"],
    T.HOUSE_NUMBER: ["1", "12", "1.0"],
    T.UNIT: ["apt 2", "#3"],
    T.CITY: ["Ely", "York", "Yorks"],
    T.REGION: ["CA", "unknown"],
    T.POSTCODE: ["CB7 4AA", "94110", "94111", "00000"],
    T.COUNTRY: ["USA", "GB"],
    T.NATIONAL_ID: ["123-45-6789", "123-45-6780", "1"],
    T.CUSTOMER_ACCOUNT: ["AB12345", "ab12345"],
    T.EMPLOYER: ["Acme Ltd", "none"],
    T.OCCUPATION: ["baker", "Bäcker"],
    T.FREE: ["red", "blue", ""],
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, SemanticType | None], int]:
    kinds = draw(st.lists(st.sampled_from([*WRITTEN, *([T.FREE] * 4)]), min_size=1, max_size=24))
    rows = draw(st.integers(1, 12))
    columns, types = {}, {}
    for place, kind in enumerate(kinds):
        name = f"c{place}"
        columns[name] = draw(st.lists(st.sampled_from([*WRITTEN[kind], "", " "]), min_size=rows, max_size=rows))
        types[name] = kind
    return columns, types, rows


def profiles_of(columns: dict[str, list[str]], types: dict[str, SemanticType | None], rows: int) -> list[Profile]:
    return [
        profile_of(
            [AttributeValue(n, k, columns[n][row].strip()) for n, k in types.items() if k and columns[n][row].strip()], "US"
        )
        for row in range(rows)
    ]


@settings(max_examples=300)
@given(tables())
def test_columns_are_normalised_as_rows_are(table):
    columns, types, rows = table

    frame = normalise_columns(columns, types, "US", rows)

    assert [frame.profile(row) for row in range(rows)] == profiles_of(*table)


@settings(max_examples=100)
@given(tables())
def test_equal_profiles_are_one_and_numbered_by_first_row(table):
    profiles = profiles_of(*table)
    number: dict[Profile, int] = {}
    expected = [number.setdefault(p, len(number)) for p in profiles]

    point_of, distinct = normalise_columns(*table[:2], "US", table[2]).distinct()

    assert point_of.tolist() == expected
    assert [distinct.profile(i) for i in range(distinct.rows)] == list(number)


PERSON = (T.GIVEN_NAME, T.SURNAME, T.BIRTH_DATE, T.EMAIL, T.PHONE, T.STREET, T.HOUSE_NUMBER, T.POSTCODE, T.CITY, T.GENDER)
MORE = (T.PERSON_NAME, T.MIDDLE_NAME, T.EMAIL, T.PHONE, T.ADDRESS, T.OCCUPATION, T.NATIONAL_ID, T.CUSTOMER_ACCOUNT, T.EMPLOYER)


@given(tables(), st.randoms(use_true_random=False))
def test_some_rows_keep_their_profiles_and_no_values_of_others(table, chance):
    columns, types, rows = table
    frame = Frame.of_profiles(profiles_of(columns, types, rows))
    chosen = np.array(sorted(chance.sample(range(rows), chance.randint(1, rows))))

    few = frame.only(chosen)

    assert [few.profile(i) for i in range(len(chosen))] == [frame.profile(i) for i in chosen.tolist()]
    for feature in (*few.fields.values(), *few.others.values()):
        kept = {value for code in set(feature.codes.tolist()) for value in feature.entry(code)}
        assert set(feature.values) == kept


def some_profiles(seed: int, rows: int = 60, kinds: tuple[SemanticType, ...] = ()) -> list[Profile]:
    """Make distinct profiles of few values, several of them in one feature unless kinds are told."""
    random = Random(seed)
    kinds = kinds or (*PERSON, *MORE, T.OTHER_NAME, T.ORGANISATION_NAME, T.NAME_SUFFIX)
    made = []
    for _ in range(rows):
        used = [k for k in kinds if random.random() < 0.6]
        made.append(profile_of([AttributeValue("a", k, random.choice(WRITTEN[k])) for k in used], "US"))
    return list(dict.fromkeys(made))


@pytest.mark.parametrize("part", [*PARTS, "other:occupation", "other:none"])
@pytest.mark.parametrize("kinds", [(), PERSON, (*PERSON, T.MIDDLE_NAME, T.ORGANISATION_NAME)])
def test_every_part_has_the_values_it_has_of_a_profile(part, kinds):
    profiles = some_profiles(1, kinds=kinds)

    feature = part_feature(Frame.of_profiles(profiles), part)

    assert [set(feature.entry(c)) for c in feature.codes.tolist()] == [{v for v in part_values(part, p) if v} for p in profiles]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [2, 5, 50])
def test_candidate_pairs_are_those_that_share_a_key_that_is_not_generic(seed, limit):
    profiles = some_profiles(seed)
    # Sixteen names times sixteen more: more keys than a rule may have.
    many = tuple(sorted(f"n{i:02d}" for i in range(12)))
    profiles += [Profile(given=many, surname=many, birth_dates=(f"19{i}0-01-01",)) for i in range(3)]
    rules = (
        BlockingRule("a", ("given", "surname")),
        BlockingRule("b", ("name", "birth_year")),
        BlockingRule("c", ("city",)),
        BlockingRule("d", ("other:occupation", "given.initial")),
        BlockingRule("e", ("name.words",)),
    )
    makers: dict[tuple[int, int], int] = {}
    for keys_of in (identifiers, *(lambda p, r=r: rule_keys(r, p) for r in rules)):
        holders: dict[object, list[int]] = {}
        for i, p in enumerate(profiles):
            for key in keys_of(p):
                holders.setdefault(key, []).append(i)
        found = {pair for h in holders.values() if len(h) <= limit for pair in combinations(h, 2)}
        for pair in found:
            makers[pair] = makers.get(pair, 0) + 1

    blocks = blocks_of(rules, Frame.of_profiles(profiles), limit)
    counts = PairCounts.zero(len(blocks))
    chunks = list(stream_pairs(blocks, len(profiles), counts, chunk=20))

    streamed = [
        ((left, right), by)
        for c in chunks
        for left, right, by in zip(c.left.tolist(), c.right.tolist(), c.counts.tolist(), strict=True)
    ]
    assert len(chunks) > (limit > 2)
    assert streamed == sorted(makers.items())
    assert counts.pairs.sum() == sum(makers.values())
    assert counts.only_here.sum() == sum(by == 1 for by in makers.values())


def test_a_phone_shared_by_too_many_profiles_makes_no_candidates():
    frame = Frame.of_profiles([Profile(given=(f"name{i}",), phones=("+14155552671",)) for i in range(30)])

    few, many = identifier_block(frame, 30), identifier_block(frame, 29)

    assert (few.pairs, few.generic_keys, few.keyed.all()) == (30 * 29 // 2, 0, True)
    assert (many.pairs, many.generic_keys, many.keyed.any()) == (0, 1, False)


NAMES = ["robert", "bob", "bobby", "rob", "r", "roberto", "anne marie", "anne", "marie", "smith", "smyth", "smithe", "jonson",
         "johnson", "li", "le", "o", "müller", "muller", "szczepański", "x" * 70, "x" * 69 + "y"]  # fmt: skip
DATES = ["1980-01-02", "1980-02-01", "1981-01-02", "1980-01-12", "1980-00-00", "1981-00-00", "1980-01-00", "1979-05-06",
         "1981-05-06", "1950-05-06", "9999-88-77", "1980-88-02"]  # fmt: skip
MAILS = ["ann.smith@x.org", "ann.smith+a@x.org", "an.smith@x.org", "ann.smith@y.com", "bob@x.org", "iprice@carr.com",
         "iirpce@carr.cm", "michael.pocel.92@in.example", "michael.tuck.36@in.example", "é@x.org",
         "ann.smith.12@x.org", "ann.smith.9876543@y.com", "12345@x.org", "98@x.org"]  # fmt: skip
PHONES = ["+14155552671", "+14155552672", "+14155552617", "+4415552671", "+441555267100", "+49155526711", "+444155552671"]
PLACES = [
    ("1", "high st", "", "ely", "", "CB74AA", ""), ("1", "high st", "2", "ely", "", "CB74AB", ""),
    ("2", "hihg st", "", "york", "", "", ""), ("", "", "", "", "", "94110", ""), ("", "", "", "", "", "94111", ""),
    ("", "", "", "", "", "94101", ""), ("", "", "", "", "", "10249", ""), ("", "", "", "yorks", "", "941", ""),
    ("1", "main rd", "", "elly", "", "", "US"), ("12", "high street", "", "ely", "", "1", ""),
]  # fmt: skip


def features() -> st.SearchStrategy[list[Profile]]:
    def several(values: list) -> st.SearchStrategy[tuple]:
        return st.lists(st.sampled_from(values), max_size=2, unique=True).map(lambda v: tuple(sorted(v)))

    words = st.text("abc ", min_size=1, max_size=9).map(str.strip).filter(bool)
    name = st.one_of(several(NAMES), words.map(lambda w: (w,)))
    return st.lists(
        st.builds(
            Profile, given=name, middle=several(NAMES[:5]), surname=name, suffix=several(["jr", "sr"]),
            organisations=several(["acme", "acme bolt", "bolt", "acmee"]), birth_dates=several(DATES),
            genders=several(["m", "f"]), emails=several(MAILS), phones=several(PHONES), addresses=several(PLACES),
            documents=several([(20, "US|123456789"), (20, "|123456780"), (21, "US|123456789")]),
            others=several([("employer", "acme"), ("employer", "acm"), ("birth_place", "ely"), ("birth_place", "ely cambs")]),
        ),
        min_size=2, max_size=14, unique=True,
    )  # fmt: skip


@settings(max_examples=250)
@given(features())
def test_levels_in_columns_are_those_of_each_pair(profiles):
    frame = Frame.of_profiles(profiles)
    left, right = (side.ravel().astype(np.int32) for side in np.indices((len(profiles), len(profiles))))

    for comparison in MatchModel.shipped().build_comparisons():
        found = ColumnLevels(comparison, feature_of(comparison, frame)).levels(left, right)

        expected = [
            comparison.level(comparison.values(profiles[i]), comparison.values(profiles[j]))
            for i, j in zip(left, right, strict=True)
        ]
        assert found.tolist() == expected, comparison.name


def test_weights_in_columns_are_the_scorers():
    profiles = some_profiles(4)
    left, right = np.triu_indices(len(profiles))

    found = ColumnScorer(MatchModel.shipped(), Frame.of_profiles(profiles)).weigh(left.astype(np.int32), right.astype(np.int32))

    assert (
        found.tolist() == Scorer(MatchModel.shipped()).weights(profiles, left.astype(np.int32), right.astype(np.int32)).tolist()
    )


RAILS = [
    GuardRails(),
    GuardRails(duplicate_free=("a",)),
    GuardRails(duplicate_free=("a", "b"), never_overlap=(("b", "c"),), verifying=("a",)),
    GuardRails(verifying=("b",), single_numbers=("passport",), never_overlap=(("a", "nowhere"), ("a", "b", "c"))),
]


@settings(max_examples=250)
@given(st.integers(0, 1 << 30), st.integers(2, 40), st.integers(0, 4), st.sampled_from([1000, 6]), st.sampled_from(RAILS))
def test_components_are_cut_as_one_by_one(seed, rows, width, most, rails):
    random = Random(seed)
    points = max(2, rows * 2 // 3)
    point_of = np.array([random.randrange(points) for _ in range(rows)])
    point_of = np.unique(point_of, return_inverse=True)[1]
    numbers = [
        (int(SemanticType.NATIONAL_ID), "|1"),
        (int(SemanticType.NATIONAL_ID), "|2"),
        (int(SemanticType.PASSPORT), "x|3"),
    ]
    numbers += [(int(SemanticType.PASSPORT), "x|4"), (int(SemanticType.PASSPORT), "y|5")]
    dates = ["1980-01-02", "1980-01-03", "1980-01-00"]
    frame = Frame.of_profiles(
        [
            Profile(
                given=(f"n{i:02d}",),
                documents=tuple(sorted(random.sample(numbers, random.randrange(3)))),
                birth_dates=tuple(sorted(random.sample(dates, random.randrange(3)))),
            )
            for i in range(points)
        ]
    )
    guards = Guards(rails)
    matrix = np.array([[random.randint(-8, 8) for _ in range(points)] for _ in range(points)])
    matrix = np.minimum(matrix, matrix.T)
    count_of = np.array([random.randint(1, 4) for _ in range(points)])
    groups = (point_of * 7919 % (width + 1)).astype(np.int64)
    ids = [str(random.randrange(rows)) for _ in range(rows)]
    sources = [random.choice("abc") for _ in range(rows)]
    limits = ClusterSettings(link_weight=2, min_average=-1, max_component=most)

    labels, reviews, fired = cut(
        groups,
        point_of,
        frame,
        TextColumn.of(ids),
        sources,
        lambda i, j: matrix[i, j],
        lambda i: count_of[i],
        limits,
        lambda share: None,
        Guarding(guards, lambda profiles, left, right: np.zeros(len(left), np.int64)),
    )

    expected: set[frozenset[int]] = set()
    wanted_reviews, wanted_fired = 0, Counter()
    for group in set(groups.tolist()):
        mine = [r for r in range(rows) if groups[r] == group]
        at = point_of[mine]
        vetoes = guards.vetoes((sources[r], frame.profile(int(point_of[r]))) for r in mine)
        cutting = cluster(
            [(sources[r], ids[r]) for r in mine], [frame.profile(p).encode() for p in at.tolist()],
            lambda i, j, at=at: matrix[at[i], at[j]], (), limits, vetoes, information=lambda i, at=at: count_of[at[i]],
            explain=False,
        )  # fmt: skip
        expected |= {
            frozenset(r for r, x in zip(mine, cutting.labels, strict=True) if x == label) for label in set(cutting.labels)
        }
        wanted_reviews += cutting.needs_review
        wanted_fired += vetoes.fired() if vetoes is not None else Counter()
    found = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}
    assert (found, reviews, fired) == (expected, wanted_reviews, wanted_fired)
    assert list(dict.fromkeys(labels.tolist())) == sorted(set(labels.tolist()))


def test_candidates_among_profiles_share_a_key_that_is_not_generic_among_them() -> None:
    model = msgspec.structs.replace(MatchModel.shipped(), rules=(BlockingRule("surname", ("surname",)),), generic_limit=2)
    profiles = [Profile(surname=(s,), phones=p) for s, p in (("a", ()), ("a", ("1",)), ("b", ("1",)), ("b", ()), ("b", ("2",)))]

    left, right = candidates_among(profiles, model)

    assert [*zip(left.tolist(), right.tolist(), strict=True)] == [(0, 1), (1, 2)]
