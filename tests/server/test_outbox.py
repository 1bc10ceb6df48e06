"""Events say exactly what a commit did: whoever applies them in order has the memberships that the store has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from goldenthread.server.events.outbox import Event, EventType, pack_changes, pack_fields, unfold, unpack

IDS = [bytes([number]) * 16 for number in range(1, 9)]

identities_of = st.dictionaries(st.sampled_from(IDS), st.sampled_from([bytes([number]) * 16 for number in range(100, 105)]))


def members(identity_of: Mapping[bytes, bytes]) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = defaultdict(set)
    for record, identity in identity_of.items():
        found[identity].add(record)
    return dict(found)


def events_of(old: Mapping[bytes, bytes], new: Mapping[bytes, bytes]) -> list[Event]:
    body = pack_changes(old, new, set(old) - set(new))
    return unfold(7, 1, body) if body else []


@given(identities_of, identities_of)
def test_applying_events_gives_the_memberships_after_the_commit(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> None:
    known = members(old)

    for event in events_of(old, new):
        assert known.get(event.identity, set()) == set(event.before)
        assert set(event.added) == set(event.after) - set(event.before)
        assert set(event.removed) == set(event.before) - set(event.after)
        known[event.identity] = set(event.after)

    assert {identity: records for identity, records in known.items() if records} == members(new)


@given(identities_of, identities_of)
def test_an_identity_whose_records_stay_has_no_event(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> None:
    before, after = members(old), members(new)

    touched = {event.identity for event in events_of(old, new)}

    assert touched == {identity for identity in {*before, *after} if before.get(identity) != after.get(identity)}


@given(identities_of, identities_of)
def test_types_say_how_identities_begin_and_end(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> None:
    before, after = members(old), members(new)

    for event in events_of(old, new):
        if event.type is EventType.IDENTITY_CREATED:
            assert event.identity not in before
            assert not set(event.after) & set(old)
        if event.type is EventType.IDENTITY_ERASED:
            assert not set(event.before) & set(new)
        if event.type is EventType.IDENTITIES_MERGED:
            assert all(former not in after for former in event.former)
            assert len(event.into) == 1
        if event.type is EventType.IDENTITY_SPLIT:
            assert len(event.into) > 1 or len(event.former) > 1


def test_events_are_numbered_in_their_order() -> None:
    events = events_of({}, {IDS[0]: IDS[6], IDS[1]: IDS[7]})

    assert [(event.revision, event.index) for event in events] == [(7, 0), (7, 1)]


def test_a_commit_that_moves_nothing_tells_only_of_identities_that_were_there() -> None:
    same = {IDS[0]: IDS[7]}

    assert pack_changes(same, same, set()) == b""
    assert pack_changes({}, {}, set(), [IDS[7]]) == b""
    assert unpack(pack_changes(same, same, set(), [IDS[7]])).restated == IDS[7]


def test_changed_golden_values_are_told_by_name() -> None:
    (event,) = unfold(9, 1, pack_fields({IDS[0]: ["email", "phone"], IDS[1]: []}))

    assert (event.type, event.identity, list(event.fields)) == (
        EventType.GOLDEN_VALUES_CHANGED,
        IDS[0],
        ["email", "phone"],
    )
