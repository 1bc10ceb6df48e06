"""Leave out of answers what a caller may not see, and of a walk whatever is known only by way of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import Reader, Subgraph
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["check_seen", "hidden_among", "hidden_records", "path_seen", "place_after", "seen_part"]

_MOST_DETOURS: Final = 50
"""Ways through hidden people that are given up before a path counts as not found."""
_MOST_AROUND: Final = 1_000
_PEOPLE: Final = frozenset({NodeKind.RECORD, NodeKind.IDENTITY})


async def hidden_among(reader: Reader, sight: Sight, nodes: Iterable[Node]) -> frozenset[bytes]:
    """Find the identities among nodes that a caller may not see, and the records of such."""
    if sight.sees_everybody:
        return frozenset()
    found = list(nodes)
    own = {node.id: node.id for node in found if node.kind is NodeKind.IDENTITY}
    records = [node.id for node in found if node.kind is NodeKind.RECORD]
    return await _hidden(reader, sight, own | (await reader.identities_of(records) if records else {}))


async def hidden_records(reader: Reader, sight: Sight, records: Iterable[bytes]) -> frozenset[bytes]:
    """Find the records among some that belong to somebody whom a caller may not see; one that is deleted belongs to nobody."""
    wanted = [] if sight.sees_everybody else sorted(set(records))
    return await _hidden(reader, sight, await reader.identities_of(wanted) if wanted else {})


async def _hidden(reader: Reader, sight: Sight, identity_of: Mapping[bytes, bytes]) -> frozenset[bytes]:
    if not identity_of:
        return frozenset()
    seen = await sight.identities(reader, sorted(set(identity_of.values())))
    return frozenset(id for id, identity in identity_of.items() if identity not in seen)


def place_after(ids: Sequence[bytes], limit: int, shown: Collection[bytes]) -> bytes:
    """Say where the page after the first `limit` of some ids starts, empty on the last: by no id of anybody hidden."""
    if len(ids) <= limit:
        return b""
    last, following = ids[limit - 1], ids[limit]
    if last in shown:
        return last
    return ((int.from_bytes(last, "big") + int.from_bytes(following, "big")) // 2).to_bytes(len(last), "big")


async def check_seen(reader: Reader, sight: Sight, ids: Sequence[bytes], kinds: Collection[NodeKind]) -> None:
    """Refuse to walk from what is not there, is of another kind, or belongs to none whom the caller may see.

    Raises:
        NotFound: one of them may not be seen, which answers as one that is missing.
    """
    found = await reader.nodes(ids)
    if any(id not in found or found[id].kind not in kinds for id in ids):
        raise NotFound("node")
    if sight.sees_everybody:
        return
    if await hidden_among(reader, sight, found.values()):
        raise NotFound("node")
    for node in found.values():
        if node.kind in _PEOPLE or node.kind is NodeKind.SOURCE:
            continue
        around = await reader.neighbourhood([node.id], _PEOPLE, 1, _MOST_AROUND)
        whose = [one for one in around.nodes if one.kind in _PEOPLE]
        if whose and len(await hidden_among(reader, sight, whose)) == len(whose):
            raise NotFound("node")


async def seen_part(reader: Reader, sight: Sight, graph: Subgraph, starts: Sequence[bytes], hops: int) -> Subgraph:
    """Keep of a walk what is seen, and of that what some hops over it lead to: nobody hidden is named, counted or passed."""
    hidden = await hidden_among(reader, sight, graph.nodes)
    if not hidden:
        return graph
    near: dict[bytes, list[bytes]] = defaultdict(list)
    for edge in graph.edges:
        if edge.source not in hidden and edge.target not in hidden:
            near[edge.source].append(edge.target)
            near[edge.target].append(edge.source)
    reached = frontier = {id for id in starts if id not in hidden}
    for _ in range(hops):
        frontier = {other for id in frontier for other in near[id]} - reached
        reached = reached | frontier
    return Subgraph(
        [node for node in graph.nodes if node.id in reached],
        [edge for edge in graph.edges if edge.source in reached and edge.target in reached],
        graph.is_truncated,
    )


async def path_seen(
    reader: Reader, sight: Sight, start: bytes, end: bytes, kinds: frozenset[NodeKind], max_hops: int
) -> Subgraph:
    """Find a shortest path past everybody whom a caller may not see."""
    avoided: frozenset[bytes] = frozenset()
    for _ in range(_MOST_DETOURS):
        path = await reader.path(start, end, kinds, max_hops, avoided)
        hidden = await hidden_among(reader, sight, path.nodes)
        if not hidden:
            return path
        avoided |= hidden
    return Subgraph((), ())
