"""Limits of identifiers: what counts, what gives way, and the laws of identities that are held to them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.cut import Guarding, component_of_rows, cut
from goldenthread.resolver.bulk.errors import ValueInvalid
from goldenthread.resolver.bulk.frame import Frame
from goldenthread.resolver.bulk.guarded import over_limits
from goldenthread.resolver.bulk.observed import observed_times
from goldenthread.resolver.clusters import Clustering, ClusterSettings, Decision, cluster
from goldenthread.resolver.guards import GuardRails, GuardRailsUnreadable, Guards, IdentifierLimit
from goldenthread.resolver.limits import Limit, Tally, held_values
from goldenthread.resolver.linkage import link_few, link_many
from goldenthread.resolver.normalise import Profile

DAY = 86_400 * 1_000_000
DEVICE, LOYALTY = int(SemanticType.DEVICE), int(SemanticType.LOYALTY_ACCOUNT)
Member = tuple[Profile, int]


def weigh(profiles: Sequence[Profile], left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
    """Weigh pairs by what they share: a name, an email, a number of any type."""

    def one(a: Profile, b: Profile) -> int:
        return (
            (2 if set(a.given) & set(b.given) else -2)
            + (5 if set(a.emails) & set(b.emails) else 0)
            + 4 * len(set(a.documents) & set(b.documents))
        )

    return np.array([one(profiles[i], profiles[j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)], np.int64)


def customer(name: str, *, email: str = "", device: str = "", loyalty: str = "") -> Profile:
    documents = [(DEVICE, device), (LOYALTY, loyalty)]
    return Profile(given=(name,), emails=(email,) if email else (), documents=tuple(sorted((k, v) for k, v in documents if v)))


def resolve(
    rails: GuardRails,
    members: Sequence[Member],
    *,
    order: Sequence[int] | None = None,
    decisions: Sequence[Decision] = (),
    most: int = 50,
    link_weight: int = 1,
) -> Clustering:
    """Cut members, all of them linked or not as they weigh, known by their place in the list."""
    places = list(order or range(len(members)))
    profiles = [members[i][0] for i in places]
    return cluster(
        [("crm", f"{i:03}") for i in places],
        [profile.encode() for profile in profiles],
        lambda left, right: weigh(profiles, left, right),
        decisions,
        ClusterSettings(link_weight=link_weight, min_average=0, max_component=most),
        limits=Guards(rails).held_to(profiles, [members[i][1] for i in places], weigh),
    )


def groups_of(found: Clustering, order: Sequence[int] | None = None) -> frozenset[frozenset[int]]:
    places = order or range(len(found.labels))
    return frozenset(
        frozenset(place for place, label in zip(places, found.labels, strict=True) if label == one) for one in set(found.labels)
    )


def test_a_device_of_a_shop_gives_way_before_loyalty_accounts_are_one_person() -> None:
    rails = GuardRails(limits=(IdentifierLimit("loyalty_account", 1),))
    members = [
        (customer("ann", device="till", loyalty="1"), 0),
        (customer("bob", device="till", loyalty="2"), 0),
        (customer("ann", email="ann@a.example", device="till"), 0),
        (customer("cid", device="till"), 0),
    ]

    free, found = resolve(GuardRails(), members), resolve(rails, members)

    assert groups_of(free) == {frozenset({0, 1, 2, 3})}
    # By the device alone nobody is anybody any more; what speaks beside it still does.
    assert groups_of(found) == {frozenset({0, 2}), frozenset({1}), frozenset({3})}
    assert found.reviews == ("identifier_limit",)
    assert found.limited == {"loyalty_account_limit": 1}
    assert {(cut.by, cut.subject) for cut in found.cuts} == {("limit", ("loyalty_account_limit", "loyalty_account"))}
    assert [step.average for step in found.steps] == [2]


def test_priorities_say_what_gives_way_first() -> None:
    members = [
        (customer("ann", email="e@a.example", device="d1", loyalty="1"), 0),
        (customer("ann", email="e@a.example", device="d2"), 0),
        (customer("bob", device="d2", loyalty="2"), 0),
    ]
    limit = (IdentifierLimit("loyalty_account", 1),)

    by_default = resolve(GuardRails(limits=limit), members)
    emails_first = resolve(GuardRails(limits=limit, priority=("loyalty_account", "device", "email")), members)

    assert groups_of(by_default) == {frozenset({0, 1}), frozenset({2})}
    assert groups_of(emails_first) == {frozenset({0, 1}), frozenset({2})}
    assert [step.average for step in by_default.steps] == [7]
    assert [step.average for step in emails_first.steps] == [2]


def test_what_no_identifier_explains_is_parted_at_its_weakest() -> None:
    rails = GuardRails(limits=(IdentifierLimit("email", 2),))
    members = [(customer("ann", email=f"{i}@a.example"), 0) for i in range(3)]

    found = resolve(rails, members)

    assert groups_of(found) == {frozenset({0, 1}), frozenset({2})}
    assert found.limited == {"email_limit": 1}


def test_a_window_counts_what_was_observed_within_its_days() -> None:
    rails = GuardRails(limits=(IdentifierLimit("email", 2, days=30),))

    def seen_on(*days: int) -> frozenset[frozenset[int]]:
        return groups_of(resolve(rails, [(customer("ann", email=f"{i}@a.example"), d * DAY) for i, d in enumerate(days)]))

    assert seen_on(0, 15, 30) == {frozenset({0, 1, 2})}
    assert seen_on(0, 15, 29) == {frozenset({0, 1}), frozenset({2})}


def test_what_one_record_says_or_a_steward_put_together_is_not_parted() -> None:
    rails = GuardRails(limits=(IdentifierLimit("email", 1),))
    many = Profile(given=("ann",), emails=("1@a.example", "2@a.example"))
    members = [(many, 0), (customer("ann", email="2@a.example"), 0), (customer("ann", email="3@a.example"), 0)]

    found = resolve(rails, members)
    decided = resolve(rails, members, decisions=[Decision(1, True, (0,), (2,))])

    assert groups_of(found) == {frozenset({0, 1}), frozenset({2})}
    assert groups_of(decided) == {frozenset({0, 1, 2})}
    assert decided.limited == {}


sightings = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=12)


@given(sightings, st.integers(0, 6))
def test_a_limit_counts_the_fullest_window(seen: frozenset[tuple[int, int]], window: int) -> None:
    starts = {at for _, at in seen} if window else {0}

    count = Limit("email_limit", SemanticType.EMAIL, 1, window).count(seen)

    spans = [{value for value, at in seen if not window or start <= at < start + window} for start in starts]
    assert count == max(map(len, spans), default=0)


profiles = st.builds(
    customer,
    st.sampled_from(["ann", "bob"]),
    email=st.sampled_from(["", "1", "2", "3"]),
    device=st.sampled_from(["", "x", "y"]),
    loyalty=st.sampled_from(["", "7", "8"]),
)
people = st.lists(st.tuples(profiles, st.integers(0, 3).map(lambda days: days * DAY)), min_size=2, max_size=28)
every_rails = st.builds(
    GuardRails,
    limits=st.lists(
        st.builds(
            IdentifierLimit, st.sampled_from(["email", "device", "loyalty_account"]), st.integers(1, 2), st.sampled_from([0, 2])
        ),
        unique_by=lambda limit: (limit.type, limit.days),
        max_size=3,
    ).map(tuple),
    priority=st.sampled_from([(), ("device",), ("email", "device")]),
)


@given(every_rails, people, st.sampled_from([50, 5]), st.randoms(use_true_random=False))
def test_limits_part_only_what_breaks_them_whatever_the_order(
    rails: GuardRails, members: list[Member], most: int, random: np.random.Generator
) -> None:
    order = list(range(len(members)))
    random.shuffle(order)

    free, found = resolve(GuardRails(), members, most=most), resolve(rails, members, most=most)

    assert groups_of(resolve(rails, members, order=order, most=most), order) == groups_of(found)

    def breaks(group: frozenset[int]) -> bool:
        for limit in Guards(rails).limits:
            held = [
                frozenset((value, members[i][1] if limit.window else 0) for value in held_values(limit.type, members[i][0]))
                for i in group
            ]
            if limit.is_broken(frozenset().union(*held), held):
                return True
        return False

    assert not any(breaks(group) for group in groups_of(found))
    parted = groups_of(free) - groups_of(found)
    assert parted == {group for group in groups_of(free) if breaks(group)}
    assert all(any(group <= whole for whole in groups_of(free)) for group in groups_of(found))
    assert bool(found.limited) == bool(parted) == ("identifier_limit" in found.reviews)


@given(every_rails, people)
def test_rows_are_held_to_limits_in_columns_as_one_by_one(rails: GuardRails, members: list[Member]) -> None:
    frame = Frame.of_profiles([profile for profile, _ in members])
    point_of, distinct = frame.distinct()
    known = [distinct.profile(i) for i in range(distinct.rows)]
    upper, lower = (side.astype(np.int32) for side in np.triu_indices(distinct.rows, 1))
    linked = weigh(known, upper, lower) >= 1
    settings = ClusterSettings(1, 0, 50)

    def weigh_points(left: NDArray[np.int32], right: NDArray[np.int32]) -> NDArray[np.int64]:
        return weigh(known, left, right)

    guards = Guards(rails)
    ids, sources = [f"{i:03}" for i in range(len(members))], ["crm"] * len(members)
    groups = component_of_rows(
        point_of, distinct.rows, upper[linked], lower[linked], np.ones(distinct.rows, np.bool_), weigh_points, 1
    )
    times = np.array([at for _, at in members])
    labels, _, fired = cut(
        groups,
        point_of,
        distinct,
        ids,
        sources,
        weigh_points,
        lambda points: np.ones(len(points), np.int64),
        settings,
        lambda share: None,
        Guarding(guards, weigh, times),
    )

    expected = resolve(rails, members)
    assert groups_of(expected) == groups_of(Clustering(labels.tolist(), [], [], ()))
    assert fired == expected.limited
    over = {
        component
        for component in set(groups.tolist())
        for limit in guards.limits
        if sum(groups == component) > 1
        and len({v for i in np.flatnonzero(groups == component).tolist() for v in held_values(limit.type, members[i][0])})
        > limit.most
    }
    assert set(over_limits(guards, groups, point_of, distinct).tolist()) == over


@given(st.integers(2, 30), st.integers(0, 1 << 30))
def test_few_and_many_groups_are_held_to_a_tally_alike(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = rng.integers(-3, 9, (n, n))
    sums = np.minimum(sums, sums.T)
    states = (sums >= 2).astype(np.uint8)
    np.fill_diagonal(states, 0)
    limits = [Limit("email_limit", SemanticType.EMAIL, 3)]
    held = [(frozenset({(int(value), 0)}),) for value in rng.integers(0, 6, n)]

    few = link_few(sums.tolist(), states.tolist(), [1] * n, 0, Tally(limits, held))
    many = link_many(sums.copy(), states.copy(), np.ones(n, np.int64), 0, Tally(limits, held))

    assert few == many


def test_times_are_read_as_iso_8601_writes_them() -> None:
    times = observed_times(["2026-01-02", "2026-01-02T00:00:01Z", "2026-01-02T01:00:00+01:00"], "seen")

    assert (times - times[0]).tolist() == [0, 1_000_000, 0]
    with pytest.raises(ValueInvalid, match="column seen: record 2 does not say when"):
        observed_times(["2026-01-02", "secret"], "seen")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("limits: [{type: surname, most: 1}]", "no identifier"),
        ("limits: [{type: email, most: 0}]", "below 1"),
        ("limits: [{type: email, most: 1, days: -1}]", "days"),
        ("limits: [{type: email, most: 1}, {type: email, most: 2}]", "repeat"),
        ("priority: [name]", "no identifier"),
        ("priority: [email, email]", "twice"),
    ],
)
def test_what_is_wrong_with_limits_is_said(text: str, problem: str) -> None:
    with pytest.raises(GuardRailsUnreadable, match=problem):
        GuardRails.read(text)


def test_limits_are_read_as_they_are_written() -> None:
    rails = GuardRails(limits=(IdentifierLimit("email", 5), IdentifierLimit("device", 3, 30)), priority=("phone", "email"))

    assert GuardRails.read(rails.to_yaml()) == rails
    assert list(combinations(Guards(rails).names[-2:], 2)) == [("device_limit", "email_limit")]
