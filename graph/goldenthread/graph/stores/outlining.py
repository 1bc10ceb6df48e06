"""Gather records into outlines, as a store reads them."""

from __future__ import annotations

from collections import defaultdict

from goldenthread.graph.disjoint_sets import DisjointSets
from goldenthread.graph.model import Edge, EdgeKind
from goldenthread.graph.store import Outline

__all__ = ["OutlineWalk"]


class OutlineWalk:
    """Join records that are one identity, that are disputed, and that a must-link decision binds."""

    def __init__(self) -> None:
        self._sets: DisjointSets[bytes] = DisjointSets()
        self._versions: dict[bytes, bytes | None] = {}
        self._identity_of: dict[bytes, bytes] = {}
        self._first_of: dict[bytes, bytes] = {}
        """A record of each identity."""
        self._first_bound: dict[bytes, bytes] = {}
        """A record of each must-link decision."""
        self._edges: dict[tuple[bytes, EdgeKind, bytes], Edge] = {}
        self._far: set[bytes] = set()
        self._asked: set[bytes] = set()

    def add(self, record: bytes, version: bytes | None, identity: bytes | None) -> bool:
        """Take a record; say whether it is new. One without a current version joins others, and is itself left out."""
        if record in self._versions:
            return False
        self._versions[record] = version
        if identity is not None:
            self._identity_of[record] = identity
            self._sets.join(record, self._first_of.setdefault(identity, record))
        return True

    def join(self, edge: Edge) -> None:
        """Take an edge of a record that was added: a decision's, or one that is disputed, from either of its ends."""
        self._edges[edge.source, edge.kind, edge.target] = edge
        if edge.kind is EdgeKind.DISPUTED:
            self._far.update((edge.source, edge.target))
            self._sets.join(edge.source, edge.target)
        elif edge.kind is EdgeKind.MUST_LINK:
            self._sets.join(edge.source, self._first_bound.setdefault(edge.target, edge.source))

    def missing(self) -> tuple[set[bytes], set[bytes]]:
        """Name the records, and the decisions whose records, are to be read next; each decision is named once."""
        records, decisions = self._far - self._versions.keys(), self._first_bound.keys() - self._asked
        self._far.clear()
        self._asked |= decisions
        return records, decisions

    def outlines(self) -> list[Outline]:
        """Group what was taken."""
        versions: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        for record, version in self._versions.items():
            if version is not None:
                versions[self._sets.root(record)][record] = version
        decisions: dict[bytes, list[Edge]] = defaultdict(list)
        disputed: dict[bytes, list[Edge]] = defaultdict(list)
        for edge in self._edges.values():
            if self._versions.get(edge.source) is not None:
                (disputed if edge.kind is EdgeKind.DISPUTED else decisions)[self._sets.root(edge.source)].append(edge)
        identity_of = self._identity_of
        return [
            Outline(
                own, {record: identity_of[record] for record in own if record in identity_of}, decisions[root], disputed[root]
            )
            for root, own in versions.items()
        ]
