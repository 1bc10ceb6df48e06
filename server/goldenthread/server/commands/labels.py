"""Keep what people said of pairs of records, and read it back, as training does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind, Property
from goldenthread.graph.store import ChangeSet, Reader
from goldenthread.graph.vault import SealRequest
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.ids import new_id
from goldenthread.server.commands.prepare_record import Member
from goldenthread.server.commands.seen import hidden_records, place_after
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.sight import Sight

__all__ = [
    "Answer",
    "Label",
    "Opinion",
    "actor_digest",
    "labels_of",
    "list_labels",
    "put_label",
    "read_labels",
    "settled_pairs",
]

_PAGE = 1_000


class Answer(IntEnum):
    """What somebody said of two records; the numbers are those of the contract."""

    UNSPECIFIED = 0
    SAME_PERSON = 1
    DIFFERENT_PEOPLE = 2
    CANNOT_SAY = 3


class Label(Struct, frozen=True):
    """An answer about a pair of records, the smaller id first, without who gave it."""

    id: bytes
    left: bytes
    right: bytes
    answer: Answer
    by: bytes
    """Keyed digest of who answered."""
    asks_another: bool
    decision: bytes
    """The decision that the answer came to; empty for an opinion that did not settle the pair."""
    levels: tuple[int, ...]
    """Level of each comparison of the model that was in use, in the model's order."""
    model_version: str
    profiles: tuple[bytes, bytes]
    """Digests of the profiles that were judged."""
    revision: int
    node: Node


class Opinion(Struct, frozen=True):
    """A label with who gave it, and why."""

    label: Label
    actor: str
    reason: str


class _Said(Struct, frozen=True, array_like=True):
    actor: str
    reason: str


def actor_digest(tenant: Tenant, actor: str) -> bytes:
    """Digest who acts, so that two can be told apart and none is named."""
    return tenant.vault.digest("actor", actor.encode(), 16)


def read_labels(nodes: Iterable[Node]) -> list[Label]:
    """Read Label nodes, oldest first."""
    labels = []
    for node in nodes:
        p = node.properties
        labels.append(
            Label(
                node.id,
                _bytes(p, "left"),
                _bytes(p, "right"),
                Answer(int(p["answer"])),
                _bytes(p, "actor"),
                bool(p["asks_another"]),
                _bytes(p, "decision"),
                tuple(_bytes(p, "levels")),
                str(p["model"]),
                (_bytes(p, "left_profile"), _bytes(p, "right_profile")),
                node.recorded_from,
                node,
            )
        )
    return sorted(labels, key=lambda label: (label.revision, label.id))


async def labels_of(reader: Reader, tenant: Tenant) -> list[Label]:
    """Read every label of a tenant, oldest first: what a model can be trained with.

    Several people may have answered one pair; `settled_pairs` says what came of it. To train on a pair, open its records'
    members (`Tenant.members_of`): the levels and digests say what was seen when it was judged.
    """
    found: list[Label] = []
    after = b""
    while True:
        ids = await reader.page(NodeKind.LABEL, after, _PAGE, {})
        found += read_labels((await reader.nodes(ids)).values())
        if len(ids) < _PAGE:
            return sorted(found, key=lambda label: (label.revision, label.id))
        after = ids[-1]


def settled_pairs(labels: Iterable[Label]) -> dict[tuple[bytes, bytes], bool]:
    """Say of each pair that was settled whether it is one person; a pair on which opinions are divided is left out."""
    return {(label.left, label.right): label.answer is Answer.SAME_PERSON for label in labels if label.decision}


async def list_labels(
    engine: Engine, tenant: Tenant, after: bytes, limit: int, sight: Sight
) -> tuple[Sequence[Opinion], bytes]:
    """Read a page of labels of whom the caller may see, with who gave them, and where the next starts, empty on the last."""
    async with engine.reader(tenant) as reader:
        ids = await reader.page(NodeKind.LABEL, after, limit + 1, {})
        labels = read_labels((await reader.nodes(ids[:limit])).values())
        hidden = await hidden_records(reader, sight, (record for label in labels for record in (label.left, label.right)))
    labels = [label for label in labels if hidden.isdisjoint((label.left, label.right))]
    opened = await tenant.vault.open([(label.id, NodeKind.LABEL, _bytes(label.node.properties, "sealed")) for label in labels])
    opinions = []
    for label, plain in zip(labels, opened, strict=True):
        if plain is not None:  # its key is gone with its record
            said = msgspec.msgpack.decode(plain, type=_Said)
            opinions.append(Opinion(label, said.actor, said.reason))
    shown = {label.id for label in labels}
    return sorted(opinions, key=lambda opinion: opinion.label.id), place_after(ids, limit, shown)


async def put_label(
    tenant: Tenant,
    changes: ChangeSet,
    pair: tuple[bytes, bytes],
    members: tuple[Member, Member],
    answer: Answer,
    actor: str,
    reason: str,
    at: int,
    *,
    asks_another: bool,
    decision: bytes,
) -> bytes:
    """Add a label to what a transaction changes; return its id."""
    id = new_id(at)
    (sealed,) = await tenant.vault.seal([SealRequest(id, NodeKind.LABEL, msgspec.msgpack.encode(_Said(actor, reason)))])
    left, right = pair
    properties: dict[str, Property] = {
        "left": left,
        "right": right,
        "answer": int(answer),
        "actor": actor_digest(tenant, actor),
        "asks_another": int(asks_another),
        "decision": decision,
        "levels": bytes(tenant.scorer.levels(members[0].profile, members[1].profile)),
        "model": tenant.match_model.version,
        "left_profile": members[0].digest,
        "right_profile": members[1].digest,
        "sealed": sealed,
    }
    changes.put_nodes.append(Node(NodeKind.LABEL, id, properties))
    changes.put_edges += [Edge(EdgeKind.LABELLED, record, id) for record in pair]
    return id


def _bytes(properties: Mapping[str, Property], name: str) -> bytes:
    value = properties.get(name, b"")  # a store may leave out what is empty
    return value if isinstance(value, bytes) else b""
