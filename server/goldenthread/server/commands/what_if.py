"""Say who would be one if records were removed or a decision undone: by the functions that would do it, storing nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec import Struct

from goldenthread.graph.store import Reader, Transaction
from goldenthread.server.commands.candidates import Keyed, match_edges
from goldenthread.server.commands.decisions.undo import plan_undo
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField

__all__ = ["WouldBe", "if_decision_undone", "if_records_removed"]


class WouldBe(Struct, frozen=True):
    """An identity that there would be: its id, empty for a new one, and all its records."""

    identity: bytes
    records: Sequence[bytes]


async def if_records_removed(reader: Reader, tenant: Tenant, own: Sequence[bytes], removed: Sequence[bytes]) -> list[WouldBe]:
    """Say which identities the other records of an identity would be, the largest first.

    Raises:
        InvalidField: a record is not one of the identity's.
    """
    if not set(removed) <= set(own):
        raise InvalidField("without_records", "must all be records of the identity")
    keys = await reader.keys(removed)
    # Only a key that becomes generic has more locked, and none does when records go; so a reader serves for a transaction.
    unlocked = cast(Transaction, reader)
    matching = await match_edges(unlocked, tenant, [Keyed(record, None, keys.get(record, ()), ()) for record in removed])
    change = Change(gone=frozenset(removed), put_matches=matching.put, end_matches=matching.end)
    linked = await relink(reader, tenant, change, now())
    return _around(linked.identity_of, linked.before, [record for record in own if record not in set(removed)])


async def if_decision_undone(reader: Reader, tenant: Tenant, own: Sequence[bytes], decision: bytes) -> list[WouldBe]:
    """Say which identities the records of an identity would be, the largest first.

    Raises:
        NotFound: there is no such decision.
        FailedPrecondition: it was undone before, or has expired.
    """
    planned = await plan_undo(reader, tenant, decision, "", "", now())
    moved = {record: after for record, _, after in planned.decided.effect.moves}
    states = await reader.records(own)
    before = {record: state.identity for record, state in states.items() if state.identity is not None}
    touched = {effect.identity: effect for effect in planned.decided.effect.identities}
    after = {record: moved.get(record, identity) for record, identity in before.items()}
    known = set(before.values()) | {id for id, effect in touched.items() if effect.fate != "created"}
    found = []
    for identity in dict.fromkeys(after[record] for record in own if record in after):
        effect = touched.get(identity)
        records = effect.after if effect is not None else [record for record in own if after.get(record) == identity]
        found.append(WouldBe(identity if identity in known else b"", sorted(records)))
    return _sorted(found)


def _around(identity_of: Mapping[bytes, bytes], before: Mapping[bytes, bytes], records: Sequence[bytes]) -> list[WouldBe]:
    known = set(before.values())
    found = []
    for identity in dict.fromkeys(identity_of[record] for record in records if record in identity_of):
        whole = sorted(record for record, own in identity_of.items() if own == identity)
        found.append(WouldBe(identity if identity in known else b"", whole))
    return _sorted(found)


def _sorted(found: list[WouldBe]) -> list[WouldBe]:
    return sorted(found, key=lambda one: (-len(one.records), one.records[0]))
