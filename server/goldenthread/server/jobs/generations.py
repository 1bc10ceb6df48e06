"""Build, settle and clear the generations of match models, some records a step; `commands.deployment` says why it is right.

Each step locks what upserts of its records would lock, so that nobody changes their keys or edges meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.errors import Conflict
from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader, RecordState, Transaction
from goldenthread.server.commands.candidates import Keyed, match_edges
from goldenthread.server.commands.deployment import Deployment, Generation, keys_of, next_generation
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.model_artefacts import change_deployment
from goldenthread.server.commands.prepare_record import Member, blocks_of_profile
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition

__all__ = [
    "Stepped",
    "begin_staging",
    "clear",
    "end_clearing",
    "end_staging",
    "finish",
    "held_records",
    "index",
    "judge",
    "settle",
    "switch",
]

_PAGE = 400
"""Records a step."""


class Stepped(Struct, frozen=True):
    """What a step changes, the last record it looked at (empty when there was none left), and how many it looked at.

    `linked` are the records that it linked again.
    """

    changes: ChangeSet
    after: bytes
    records: int
    linked: Set[bytes] = frozenset()


async def begin_staging(transaction: Transaction, tenant: Tenant, version: str) -> ChangeSet:
    """Stage a model: from here on what changes is kept up for it too. Staged already, it stays; another must be cleared."""
    changes = ChangeSet()

    def stage(deployment: Deployment) -> Deployment:
        if deployment.staged == version:
            return deployment
        if deployment.is_switching:
            raise FailedPrecondition("the models are being switched; wait for that job, or resume it")
        if deployment.staged or not deployment.is_clear:
            return replace(deployment, staged="", is_complete=False, is_clear=False)
        number = next_generation(deployment)
        return replace(deployment, staged=version, staged_generation=number, is_complete=False, keeps_staged=True)

    await change_deployment(transaction, tenant, changes, stage)
    return changes


async def end_staging(transaction: Transaction, tenant: Tenant, version: str) -> ChangeSet:
    """Note that the staged generation has all its keys and edges."""
    changes = ChangeSet()

    def complete(deployment: Deployment) -> Deployment:
        if deployment.staged != version:
            raise FailedPrecondition("another model was staged meanwhile")
        return replace(deployment, is_complete=True)

    await change_deployment(transaction, tenant, changes, complete)
    return changes


async def switch(transaction: Transaction, tenant: Tenant, version: str) -> ChangeSet:
    """Use the staged model from here on."""
    changes = ChangeSet()
    revision = transaction.revision.number

    def switched(deployment: Deployment) -> Deployment:
        if deployment.staged != version or not deployment.is_complete:
            raise FailedPrecondition("another model was staged meanwhile")
        return replace(
            deployment,
            active=version,
            generation=deployment.staged_generation,
            staged="",
            is_complete=False,
            is_switching=True,
            is_clear=False,
            switched_at=revision,
            previous=(deployment.active, *(one for one in deployment.previous if one not in (version, deployment.active))),
        )

    await change_deployment(transaction, tenant, changes, switched)
    return changes


async def finish(transaction: Transaction, tenant: Tenant) -> ChangeSet:
    """Note that every identity is of the model in use."""
    changes = ChangeSet()
    await change_deployment(transaction, tenant, changes, lambda deployment: replace(deployment, is_switching=False))
    return changes


async def end_clearing(transaction: Transaction, tenant: Tenant) -> ChangeSet:
    """Note that nothing is left of other generations."""
    changes = ChangeSet()
    await change_deployment(transaction, tenant, changes, lambda deployment: replace(deployment, is_clear=True))
    return changes


async def index(transaction: Transaction, tenant: Tenant, generation: Generation, after: bytes) -> Stepped:
    """Give some records their keys of a generation.

    One whose keys are still to be made anew has these, too, under the profile of its others, until that is done.
    """
    ids = await transaction.page(NodeKind.RECORD, after, _PAGE, {})
    states = await held_records(transaction, ids)
    members = await tenant.members_of(states.values())
    blocks = {
        record: blocks_of_profile(tenant.vault, generation.model, generation.number, member.profile)
        for record, member in members.items()
    }
    keys = list(dict.fromkeys(key for of in blocks.values() for key in of))
    await transaction.lock(keys)
    changes = ChangeSet(put_nodes=[Node(NodeKind.BLOCK, key) for key in keys])
    stored = await transaction.keys(list(blocks)) if blocks else {}
    digests = {record: edges[0].profile for record, edges in stored.items() if edges}
    changes.put_edges += [
        Edge(EdgeKind.IN, record, key, profile=digests.get(record, members[record].digest))
        for record, of in blocks.items()
        for key in of
    ]
    return Stepped(changes, ids[-1] if ids else b"", len(ids))


async def judge(transaction: Transaction, tenant: Tenant, generation: Generation, after: bytes) -> Stepped:
    """Judge all pairs of some records under a generation whose keys are all there."""
    ids = await transaction.page(NodeKind.RECORD, after, _PAGE, {})
    states = await held_records(transaction, ids)
    members = await tenant.members_of(states.values())
    keyed = await _keyed(transaction, generation.number, ids, members)
    matching = await match_edges(transaction, tenant.under(generation), keyed)
    return Stepped(ChangeSet(end_edges=matching.end, put_edges=matching.put), ids[-1] if ids else b"", len(ids))


async def settle(transaction: Transaction, tenant: Tenant, after: bytes, at: int, settled: Set[bytes]) -> Stepped:
    """Link some records again under the model in use, and make their MATCHES those of it.

    Those that are `settled`, because a step before linked them with others, are linked already.
    """
    ids = await transaction.page(NodeKind.RECORD, after, _PAGE, {})
    if not ids:
        return Stepped(ChangeSet(), b"", 0)
    await held_records(transaction, ids)
    await _keyed(transaction, tenant.generation, ids, {})
    again = frozenset(ids) - settled
    linked = await relink(transaction, tenant, Change(again=again, was_read_locked=True), at)
    changes = linked.changes
    former = {(edge.source, edge.target): edge.weight for edge in await transaction.matches(ids)}
    wanted = {(edge.source, edge.target): edge.weight for edge in await transaction.matches(ids, EdgeKind.STAGED)}
    changes.end_edges += [EdgeRef(EdgeKind.MATCHES, *pair) for pair, weight in former.items() if wanted.get(pair) != weight]
    changes.put_edges += [
        Edge(EdgeKind.MATCHES, *pair, weight) for pair, weight in wanted.items() if former.get(pair) != weight
    ]
    return Stepped(changes, ids[-1], len(ids), linked.identity_of.keys())


async def clear(transaction: Transaction, tenant: Tenant, after: bytes) -> Stepped:
    """Take away, from some records, what is of a generation that is neither in use nor staged."""
    ids = await transaction.page(NodeKind.RECORD, after, _PAGE, {})
    await held_records(transaction, ids)
    kept = {tenant.generation, *([tenant.staged.number] if tenant.staged is not None else [])}
    stored = await transaction.keys(ids) if ids else {}
    left = {e.target for edges in stored.values() for e in edges if e.kind is EdgeKind.IN and e.target[0] not in kept}
    await transaction.lock(sorted(left))
    changes = ChangeSet(delete_nodes=sorted(left))
    if tenant.staged is None and ids:
        edges = await transaction.matches(ids, EdgeKind.STAGED)
        changes.end_edges = [EdgeRef(EdgeKind.STAGED, edge.source, edge.target) for edge in edges]
    return Stepped(changes, ids[-1] if ids else b"", len(ids))


async def held_records(transaction: Transaction, ids: Sequence[bytes]) -> Mapping[bytes, RecordState]:
    """Read records that stand, held against whoever would change them."""
    if not ids:
        return {}
    before = await transaction.records(ids)
    await transaction.lock([state.record.alias for state in before.values() if state.record.alias is not None])
    states = await transaction.records(ids)
    return {record: state for record, state in states.items() if not state.version.properties["tombstone"]}


async def _keyed(
    transaction: Transaction, generation: int, ids: Sequence[bytes], members: Mapping[bytes, Member]
) -> list[Keyed]:
    """Read the keys that records have of a generation, and lock them."""
    if not ids:
        return []
    own = await _own_keys(transaction, generation, ids)
    await transaction.lock(sorted({edge.target for edges in own.values() for edge in edges}))
    if await _own_keys(transaction, generation, ids) != own:
        raise Conflict("graph")
    return [Keyed(id, members.get(id), own[id], [edge.target for edge in own[id]]) for id in ids if id in members]


async def _own_keys(reader: Reader, generation: int, ids: Sequence[bytes]) -> dict[bytes, list[Edge]]:
    found = await reader.keys(ids)
    return {id: sorted(keys_of(generation, found.get(id, ())), key=lambda edge: edge.target) for id in ids}
