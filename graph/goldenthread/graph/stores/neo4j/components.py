"""Join the records that a walk over matches and decisions finds into components."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from goldenthread.graph.disjoint_sets import DisjointSets
from goldenthread.graph.model import Edge, EdgeKind
from goldenthread.graph.store import Component
from goldenthread.graph.stores.neo4j.encoding import Plain, edge_from, id_of

__all__ = ["ComponentWalk", "Reached"]

Reached = tuple[str, bool, str, int | None, int, int | None]
"""An edge seen from a record: type, whether it starts there, the far key, weight, recorded-from and -to."""


class ComponentWalk:
    """Gather records with their edges, step by step, until nothing they are joined with is missing."""

    def __init__(self) -> None:
        self._sets: DisjointSets[str] = DisjointSets()
        self._read: set[str] = set()
        self._matches: dict[str, list[Edge]] = defaultdict(list)
        self._decisions: dict[str, list[Edge]] = defaultdict(list)
        self._disputed: dict[str, list[Edge]] = defaultdict(list)
        self._decided: set[str] = set()

    def add(self, rows: Iterable[tuple[str, Iterable[Reached]]]) -> tuple[list[Plain], list[Plain]]:
        """Take records with all their edges; say which records and which decisions are to be read next."""
        wanted: set[str] = set()
        decisions: set[str] = set()
        for key, edges in rows:
            if key in self._read:
                continue
            self._read.add(key)
            source = id_of(key)
            for name, is_out, far, weight, since, until in edges:
                kind = EdgeKind[name]
                if kind is EdgeKind.MATCHES or kind is EdgeKind.STAGED:
                    wanted.add(far)
                    self._sets.join(key, far)
                    if is_out:
                        self._matches[key].append(edge_from(kind, source, id_of(far), weight, None, since, until))
                    continue
                if kind is EdgeKind.DISPUTED:
                    if is_out:
                        self._disputed[key].append(edge_from(kind, source, id_of(far), weight, None, since, until))
                    continue
                self._decisions[key].append(edge_from(kind, source, id_of(far), weight, None, since, until))
                if kind is EdgeKind.MUST_LINK:
                    decisions.add(far)
                    self._sets.join(key, far)
        decisions -= self._decided
        self._decided |= decisions
        return [*sorted(wanted - self._read)], [*sorted(decisions)]

    def components(self) -> list[Component]:
        """Group what was read: records that are joined, directly or by others."""
        parts: dict[str, list[str]] = defaultdict(list)
        for key in sorted(self._read):
            parts[self._sets.root(key)].append(key)
        return [
            Component(
                [id_of(key) for key in part],
                [edge for key in part for edge in self._matches[key]],
                [edge for key in part for edge in self._decisions[key]],
                [edge for key in part for edge in self._disputed[key]],
            )
            for part in parts.values()
        ]
