"""Say where a pair stands: who has claimed or skipped it, what was answered, and whether that settles it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Reader
from goldenthread.server.commands.labels import Answer, Label, actor_digest, read_labels
from goldenthread.server.commands.review.doubts import Pair, is_settled, opinions_by_pair
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Hold", "Standing", "State", "put_hold", "read_standings", "settling_answer", "state_id"]

_MAJORITY = 2


class State(IntEnum):
    """Where a pair stands; the numbers are those of the contract."""

    UNSPECIFIED = 0
    OPEN = 1
    CLAIMED = 2
    AWAITING_OPINION = 3
    SETTLED = 4


class Hold(Struct, frozen=True, array_like=True):
    """Who has claimed a pair and until when (UTC microseconds), and who has skipped it; people as keyed digests."""

    claimed_by: bytes = b""
    claimed_until: int = 0
    skipped_by: tuple[bytes, ...] = ()


class Standing(Struct, frozen=True):
    """Where a pair stands at a time, seen by somebody."""

    hold: Hold
    labels: Sequence[Label]
    caller: bytes
    now: int

    @property
    def is_claimed(self) -> bool:
        """Whether somebody has claimed it."""
        return bool(self.hold.claimed_by) and self.hold.claimed_until > self.now

    @property
    def is_claimed_by_caller(self) -> bool:
        """Whether the caller has claimed it."""
        return self.is_claimed and self.hold.claimed_by == self.caller

    @property
    def is_answered_by_caller(self) -> bool:
        """Whether the caller has answered it."""
        return any(label.by == self.caller for label in self.labels)

    @property
    def is_skipped_by_caller(self) -> bool:
        """Whether the caller has skipped it."""
        return self.caller in self.hold.skipped_by

    @property
    def state(self) -> State:
        """Where it stands."""
        if is_settled(self.labels):
            return State.SETTLED
        if self.is_claimed:
            return State.CLAIMED
        return State.AWAITING_OPINION if _votes(self.labels) else State.OPEN

    @property
    def opinions(self) -> int:
        """How many said one or the other."""
        return len(_votes(self.labels))

    def is_offered(self) -> bool:
        """Whether the caller may be given it: nobody else has it, and the caller has not dealt with it."""
        if self.state is State.SETTLED or self.is_answered_by_caller or self.is_skipped_by_caller:
            return False
        return not self.is_claimed or self.is_claimed_by_caller

    def needs_second_opinion(self, value: float, from_value: float) -> bool:
        """Whether no single answer settles it: a setting says so for its value, and nobody answered yet."""
        return not _votes(self.labels) and 0 < from_value <= value


def settling_answer(labels: Iterable[tuple[Answer, bool]], value: float, from_value: float) -> Answer | None:
    """Say which answer, of (answer, whether a second opinion was asked for), settles a pair; None while none does.

    One answer is enough, unless somebody asked for another, the pair is worth so much that two are needed, or two differ:
    then it takes two that agree.
    """
    said = [(answer, asks) for answer, asks in labels if answer is not Answer.CANNOT_SAY]
    votes = [answer for answer, _ in said]
    enough = _MAJORITY if len(set(votes)) > 1 or any(asks for _, asks in said) or 0 < from_value <= value else 1
    return next((answer for answer in (Answer.SAME_PERSON, Answer.DIFFERENT_PEOPLE) if votes.count(answer) >= enough), None)


def state_id(tenant: Tenant, pair: Pair) -> bytes:
    """Name the Review node of a pair."""
    return tenant.vault.blind("review", pair[0] + pair[1])


async def read_standings(reader: Reader, tenant: Tenant, pairs: Sequence[Pair], actor: str, now: int) -> dict[Pair, Standing]:
    """Read where pairs stand."""
    ids = {pair: state_id(tenant, pair) for pair in pairs}
    nodes = await reader.nodes(list(ids.values()))
    labels = opinions_by_pair(read_labels(await reader.labels(sorted({record for pair in pairs for record in pair}))))
    caller = actor_digest(tenant, actor)
    return {pair: Standing(_hold(nodes.get(id)), labels.get(pair, ()), caller, now) for pair, id in ids.items()}


def put_hold(tenant: Tenant, changes: ChangeSet, pair: Pair, hold: Hold) -> None:
    """Replace what is kept of who has claimed and skipped a pair; nothing is kept of nobody."""
    id = state_id(tenant, pair)
    changes.delete_nodes.append(id)
    if hold != Hold():
        changes.put_nodes.append(Node(NodeKind.REVIEW, id, {"body": msgspec.msgpack.encode(hold)}))


def _votes(labels: Iterable[Label]) -> list[Answer]:
    return [label.answer for label in labels if label.answer is not Answer.CANNOT_SAY]


def _hold(node: Node | None) -> Hold:
    body = node.properties["body"] if node is not None else b""
    return msgspec.msgpack.decode(body, type=Hold) if isinstance(body, bytes) and body else Hold()
