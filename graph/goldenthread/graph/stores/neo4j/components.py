"""Join the records that a walk over matches and decisions found into components."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from goldenthread.graph.model import Edge, EdgeKind
from goldenthread.graph.store import Component
from goldenthread.graph.stores.neo4j.encoding import edge_from, id_of

__all__ = ["Found", "components_of"]


@dataclass(frozen=True, slots=True)
class Found:
    """What one record joins; neighbours are keys."""

    key: str
    matches_out: Sequence[tuple[str, int | None, int, int | None]]
    matches_in: Sequence[str]
    decisions: Sequence[tuple[str, str, int | None, int, int | None]]
    must_linked: Sequence[str]

    def neighbours(self) -> Iterator[str]:
        """Walk to every record that this one is joined with."""
        yield from (key for key, *_ in self.matches_out)
        yield from self.matches_in
        yield from self.must_linked

    def matches(self) -> list[Edge]:
        """Make the matches that start here."""
        source = id_of(self.key)
        return [edge_from(EdgeKind.MATCHES, source, id_of(o), weight, None, f, t) for o, weight, f, t in self.matches_out]

    def decided(self) -> list[Edge]:
        """Make the decisions' edges that start here."""
        source = id_of(self.key)
        return [edge_from(EdgeKind[kind], source, id_of(d), side, None, f, t) for kind, d, side, f, t in self.decisions]


def components_of(found: Iterable[Found]) -> list[Component]:
    """Group records that are joined, directly or by others; `found` holds everything that any of them joins."""
    by_key = {one.key: one for one in found}
    parent = {key: key for key in by_key}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    for one in by_key.values():
        for other in one.neighbours():
            if other in parent:
                parent[root(other)] = root(one.key)
    parts: dict[str, list[str]] = defaultdict(list)
    for key in sorted(by_key):
        parts[root(key)].append(key)
    return [
        Component(
            [id_of(key) for key in part],
            [edge for key in part for edge in by_key[key].matches()],
            [edge for key in part for edge in by_key[key].decided()],
        )
        for part in parts.values()
    ]
