"""Turn nodes and edges into what Neo4j keeps, and back.

A node has one label, that of its kind, and one `key`: the tenant's number and the id, both in lower hexadecimal. Neo4j packs
up to 54 such digits into the property record itself, so a key of 38 costs no second look-up, and its order is that of the ids.
Queries answer with one row of nested lists, which the driver unpacks several times faster than rows of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from goldenthread.graph.model import LIVE, Edge, EdgeKind, Node, NodeKind, Property
from goldenthread.graph.schema import EDGE_ENDS, NODE_PROPERTIES

__all__ = [
    "KIND_OF",
    "LABELS",
    "NO_TENANT",
    "PAIRS",
    "PREFIX_DIGITS",
    "Plain",
    "columns",
    "edge_from",
    "id_of",
    "key_prefix",
    "node_from",
    "node_row",
    "properties_of",
]

Plain: TypeAlias = "int | str | bytes | Sequence[Plain] | Mapping[str, Plain] | None"
"""What travels to and from the server."""

PREFIX_DIGITS = 6
NO_TENANT = 0
"""The number that no tenant has: its keys find nothing."""

LABELS: dict[NodeKind, str] = {kind: "".join(word.capitalize() for word in kind.name.split("_")) for kind in NodeKind}
KIND_OF: dict[str, NodeKind] = {label: kind for kind, label in LABELS.items()}

_SAME_KIND = {EdgeKind.CURRENT: ((NodeKind.RECORD, NodeKind.RECORD_VERSION), (NodeKind.ARTEFACT, NodeKind.ARTEFACT))}
PAIRS: dict[EdgeKind, tuple[tuple[NodeKind, NodeKind], ...]] = {
    kind: _SAME_KIND.get(kind) or tuple((source, target) for source in sources for target in sorted(targets))
    for kind, (sources, targets) in EDGE_ENDS.items()
}
"""The kinds that an edge of each kind may join."""

_NAMES = {kind: tuple(properties) for kind, properties in NODE_PROPERTIES.items()}


def key_prefix(tenant: int) -> str:
    """Write a tenant's number as every key of that tenant starts."""
    return f"{tenant:0{PREFIX_DIGITS}x}"


def id_of(key: str) -> bytes:
    """Read the id out of a key."""
    return bytes.fromhex(key[PREFIX_DIGITS:])


def columns(variable: str, kind: NodeKind) -> str:
    """Write the Cypher list that `node_from` reads."""
    return "[" + ", ".join(f"{variable}.{name}" for name in ("key", "alias", "recorded_from", *_NAMES[kind])) + "]"


def node_from(kind: NodeKind, values: Sequence[Property | None]) -> Node:
    """Make a node of the values that `columns` asks for."""
    key, alias, recorded_from, *properties = values
    assert isinstance(key, str)
    assert isinstance(recorded_from, int)
    named = {name: value for name, value in zip(_NAMES[kind], properties, strict=True) if value is not None}
    return Node(kind, id_of(key), named, id_of(alias) if isinstance(alias, str) else None, recorded_from)


def properties_of(label: str, stored: Mapping[str, Property]) -> Node:
    """Make a node of its label and all that is stored of it."""
    kind = KIND_OF[label]
    return node_from(kind, [stored.get(name) for name in ("key", "alias", "recorded_from", *_NAMES[kind])])


def node_row(prefix: str, node: Node) -> list[Plain]:
    """List what is stored of a node: key, alias, then its properties in schema order."""
    alias = None if node.alias is None else prefix + node.alias.hex()
    return [prefix + node.id.hex(), alias, *(node.properties[name] for name in _NAMES[node.kind])]


def edge_from(
    kind: EdgeKind,
    source: bytes,
    target: bytes,
    weight: int | None,
    profile: bytes | None,
    recorded_from: int,
    recorded_to: int | None,
) -> Edge:
    """Make an edge of what is stored of it; what is absent has its default."""
    until = LIVE if recorded_to is None else recorded_to
    return Edge(kind, source, target, weight or 0, profile or b"", recorded_from, until)
