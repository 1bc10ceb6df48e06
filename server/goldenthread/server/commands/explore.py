"""Walk the graph: neighbours, paths, networks, households. What comes back is opaque but for masked labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from goldenthread.graph.model import Node, NodeKind, SemanticType
from goldenthread.graph.store import Reader, Subgraph
from goldenthread.server.commands.as_of import Moment, read_at
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.seen import check_seen, path_seen, seen_part
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound
from goldenthread.server.sight import Sight

__all__ = ["WALKED", "Walk", "cut_since", "expand_nodes", "find_path", "get_network", "mask"]

WALKED = frozenset(
    {
        NodeKind.SOURCE,
        NodeKind.RECORD,
        NodeKind.IDENTIFIER,
        NodeKind.IDENTITY,
        NodeKind.HOUSEHOLD,
        NodeKind.CONSENT,
        NodeKind.DECISION,
        NodeKind.RELATION,
    }
)
"""Kinds that a caller may see; versions, blocks and requests are how the service works, not what it knows."""

_RELATING = frozenset({NodeKind.RECORD, NodeKind.IDENTIFIER, NodeKind.IDENTITY, NodeKind.HOUSEHOLD, NodeKind.RELATION})
"""Kinds a path may lead through: that two people are in one source relates nobody."""


class Walk(Struct, frozen=True):
    """What a walk found, with a masked label for each node that has one.

    `was_cut` says of a walk of the past that something of the identities it met has been deleted since.
    """

    graph: Subgraph
    labels: Mapping[bytes, str]
    was_cut: bool


async def expand_nodes(
    engine: Engine,
    tenant: Tenant,
    ids: Sequence[bytes],
    kinds: frozenset[NodeKind],
    hops: int,
    limit: int,
    moment: Moment | None,
    sight: Sight,
) -> Walk:
    """Find what lies within some hops, past nobody whom the caller may not see.

    Raises:
        NotFound: one of the nodes does not exist, or may not be seen.
    """
    async with read_at(engine, tenant, moment) as reader:
        await check_seen(reader, sight, ids, WALKED)
        graph = await reader.neighbourhood(ids, kinds & WALKED, hops, limit)
        graph = await seen_part(reader, sight, graph, ids, hops)
        was_cut = moment is not None and await cut_since(reader, graph.nodes, ids)
    return Walk(graph, await _labels(tenant, graph.nodes), was_cut)


async def find_path(
    engine: Engine, tenant: Tenant, start: bytes, end: bytes, max_hops: int, moment: Moment | None, sight: Sight
) -> Walk:
    """Find a shortest path past nobody whom the caller may not see.

    Raises:
        NotFound: one of the ends does not exist, or may not be seen.
    """
    async with read_at(engine, tenant, moment) as reader:
        await check_seen(reader, sight, [start, end], WALKED)
        graph = await path_seen(reader, sight, start, end, _RELATING, max_hops)
        was_cut = moment is not None and await cut_since(reader, graph.nodes, [start, end])
    return Walk(graph, await _labels(tenant, graph.nodes), was_cut)


async def get_network(
    engine: Engine,
    tenant: Tenant,
    ids: Sequence[bytes],
    max_hops: int,
    build_out: int,
    limit: int,
    moment: Moment | None,
    sight: Sight,
) -> Walk:
    """Find what connects identities pairwise, and some hops around it, past nobody whom the caller may not see.

    Raises:
        NotFound: one of them does not exist, or may not be seen.
    """
    async with read_at(engine, tenant, moment) as reader:
        living_ids = list(dict.fromkeys([(await living(reader, id)).identity.id for id in ids]))
        if len(await sight.identities(reader, living_ids)) < len(living_ids):
            raise NotFound("identity")
        on_paths: dict[bytes, None] = dict.fromkeys(living_ids)
        for i, one in enumerate(living_ids):
            for other in living_ids[i + 1 :]:
                path = await path_seen(reader, sight, one, other, _RELATING, max_hops)
                on_paths.update(dict.fromkeys(node.id for node in path.nodes))
        graph = await reader.neighbourhood(list(on_paths), WALKED, build_out, limit)
        graph = await seen_part(reader, sight, graph, list(on_paths), build_out)
        was_cut = moment is not None and await cut_since(reader, graph.nodes, [*ids, *living_ids])
    return Walk(graph, await _labels(tenant, graph.nodes), was_cut)


async def cut_since(reader: Reader, nodes: Iterable[Node], ids: Sequence[bytes]) -> bool:
    """Whether something was deleted of the identities among nodes and ids, or of those of the records among them."""
    belongs = await reader.identities_of(list(dict.fromkeys([*(n.id for n in nodes if n.kind is NodeKind.RECORD), *ids])))
    whole = await reader.identities(
        list(dict.fromkeys([*(n.id for n in nodes if n.kind is NodeKind.IDENTITY), *belongs.values(), *ids]))
    )
    return any(identity.was_cut for identity in whole.values())


async def _labels(tenant: Tenant, nodes: Iterable[Node]) -> dict[bytes, str]:
    """Say what identifiers are, masked: enough to tell two apart, too little to use."""
    wanted = [node for node in nodes if node.kind is NodeKind.IDENTIFIER]
    sealed = [(node.id, NodeKind.IDENTIFIER, bytes(node.properties["sealed"])) for node in wanted]  # type: ignore[arg-type]  # bytes by the schema
    opened = await tenant.vault.open(sealed)
    return {
        node.id: mask(SemanticType(int(node.properties["type"])), plain.decode())
        for node, plain in zip(wanted, opened, strict=True)
        if plain is not None
    }


def mask(type: SemanticType, text: str) -> str:
    """Mask an identifier: `a…@…com` for an email, the last two characters for numbers, nothing of an address."""
    if type is SemanticType.EMAIL:
        return f"{text[:1]}…@…{text.rpartition('.')[2]}"
    if type is SemanticType.ADDRESS:
        return "address"
    return f"…{text[-2:]}" if len(text) > 6 else "…"
