"""The job that says which identities would merge or split if the staged model were activated, and the list it keeps of them.

The staged generation holds all that activating needs, so a preview does what settling does, some identities at a time, and
keeps what came of it instead of changing anything. Who comes in meanwhile is seen or not, by when its part is looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.disjoint_sets import DisjointSets
from goldenthread.graph.model import NodeKind
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.server.commands.artefacts import artefact_root, put_artefact, read_artefact
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.linking import Change, relink
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, NotFound
from goldenthread.server.jobs.deploying import WantedModel
from goldenthread.server.jobs.job import Job, read_job
from goldenthread.server.jobs.kind import JobContext, Step
from goldenthread.server.sight import Sight

__all__ = ["PREVIEW_ACTIVATION", "ActivationChange", "PreviewActivation", "list_activation_changes", "preview_artefacts"]

PREVIEW_ACTIVATION = "preview-activation"
_PAGE = 300
"""Identities that are looked at in one go."""


class ActivationChange(Struct, frozen=True, array_like=True):
    """Identities that would change together, and the sizes of what they would become, the largest first."""

    identities: tuple[bytes, ...]
    parts: tuple[int, ...]


class Previewed(Struct, frozen=True):
    """What activating would change. `changes` are sets of identities that change together; shares are of all there are now."""

    version: str
    identities: int = 0
    identities_after: int = 0
    records: int = 0
    changes: int = 0
    merging: int = 0
    splitting: int = 0
    records_moving: int = 0
    share_of_identities_changing: float = 0.0
    share_of_records_moving: float = 0.0


class _Place(Struct, frozen=True, array_like=True):
    after: bytes
    chunks: int
    changing: int
    so_far: Previewed


class PreviewActivation:
    """Look at all identities as the staged model would have them."""

    name, unit = PREVIEW_ACTIVATION, "identities"

    async def run(self, context: JobContext, checkpoint: bytes) -> Struct | None:
        """Go through the identities, and keep which would change."""
        tenant, version = context.tenant, context.parameters(WantedModel).version
        place = _Place(b"", 0, 0, Previewed(version))
        if checkpoint:
            place = msgspec.msgpack.decode(checkpoint, type=_Place)
        await context.engine.notice(tenant)
        async with context.engine.reader(tenant) as reader:
            total = (await reader.counts())[NodeKind.IDENTITY]
        while True:
            found, after = await self._look(context.engine, tenant, version, place.after)
            if not after:
                return place.so_far
            place = _add(place, found, after)
            await self._keep(context, place, found, total)

    async def _look(
        self, engine: Engine, tenant: Tenant, version: str, after: bytes
    ) -> tuple[list[tuple[ActivationChange, int, int]], bytes]:
        async with engine.reader(tenant) as reader:
            await engine.follow(reader, tenant)
            staged = tenant.staged
            if staged is None or staged.model.version != version:
                raise FailedPrecondition("the model is not staged any more; stage it again")
            ids = await reader.page(NodeKind.IDENTITY, after, _PAGE, {})
            if not ids:
                return [], b""
            stored = await reader.identities(ids)
            records = frozenset(record for identity in stored.values() for record in identity.records)
            linked = await relink(reader, tenant.under(staged), Change(again=records), now())
        old = {record: identity for record, identity in linked.before.items() if record in linked.identity_of}
        return _changes(old, linked.identity_of, set(ids)), ids[-1]

    async def _keep(
        self, context: JobContext, place: _Place, found: Sequence[tuple[ActivationChange, int, int]], total: int
    ) -> None:
        changed = [change for change, _, _ in found if len(change.identities) > 1 or len(change.parts) > 1]
        done = place.so_far.identities

        async def keep(transaction: Transaction, at: int) -> Step:
            changes = ChangeSet()
            if changed:
                name = _chunk_name(context.job.id, place.chunks - 1)
                await put_artefact(changes, context.tenant.vault, name, None, msgspec.msgpack.encode(changed))
            return Step(msgspec.msgpack.encode(place), changes, done, max(total, done))

        await context.step(keep)


def _changes(
    old: Mapping[bytes, bytes], new: Mapping[bytes, bytes], own: set[bytes]
) -> list[tuple[ActivationChange, int, int]]:
    """Find sets of identities that exchange records, each with how many there are and how many move; its smallest owns it."""
    sets: DisjointSets[bytes] = DisjointSets()
    for record, identity in old.items():
        sets.join(b"old" + identity, b"new" + new[record])
    records: dict[bytes, list[bytes]] = defaultdict(list)
    for record, identity in old.items():
        records[sets.root(b"old" + identity)].append(record)
    found = []
    for group in records.values():
        identities = sorted({old[record] for record in group})
        if identities[0] in own:
            parts = sorted(Counter(new[record] for record in group).values(), reverse=True)
            moving = sum(old[record] != new[record] for record in group)
            found.append((ActivationChange(tuple(identities), tuple(parts)), len(group), moving))
    return found


def _add(place: _Place, found: Iterable[tuple[ActivationChange, int, int]], after: bytes) -> _Place:
    so_far, chunks, changing = place.so_far, place.chunks, place.changing
    has_changes = False
    for change, records, moving in found:
        is_change = len(change.identities) > 1 or len(change.parts) > 1
        has_changes |= is_change
        changing += len(change.identities) if is_change else 0
        so_far = replace(
            so_far,
            identities=so_far.identities + len(change.identities),
            identities_after=so_far.identities_after + len(change.parts),
            records=so_far.records + records,
            changes=so_far.changes + is_change,
            merging=so_far.merging + (len(change.identities) if len(change.identities) > 1 else 0),
            splitting=so_far.splitting + (1 if len(change.identities) == 1 and len(change.parts) > 1 else 0),
            records_moving=so_far.records_moving + moving,
        )
    so_far = replace(
        so_far,
        share_of_identities_changing=changing / max(1, so_far.identities),
        share_of_records_moving=so_far.records_moving / max(1, so_far.records),
    )
    return _Place(after, chunks + has_changes, changing, so_far)


async def list_activation_changes(
    engine: Engine, tenant: Tenant, job: bytes, start: tuple[int, int], limit: int, sight: Sight
) -> tuple[list[ActivationChange], tuple[int, int] | None]:
    """Read a page of what a preview found, from a place on; the second value is where the next one starts, None on the last.

    A change that concerns somebody whom the caller may not see is left out, because it counts their records.

    Raises:
        NotFound: there is no such preview.
    """
    async with engine.reader(tenant) as reader:
        found = await read_job(reader, job)
        if found.type != PREVIEW_ACTIVATION:
            raise NotFound("preview")
        page, after = await _page(reader, tenant, found, start, limit)
        named = sorted({id for change in page for id in change.identities})
        seen = await sight.identities(reader, named) if named else frozenset[bytes]()
    return [change for change in page if seen.issuperset(change.identities)], after


async def _page(
    reader: Reader, tenant: Tenant, job: Job, start: tuple[int, int], limit: int
) -> tuple[list[ActivationChange], tuple[int, int] | None]:
    place = msgspec.msgpack.decode(job.checkpoint, type=_Place) if job.checkpoint else None
    page: list[ActivationChange] = []
    chunk, skip = start
    while place is not None and chunk < place.chunks:
        rest = (await _chunk(reader, tenant, job.id, chunk))[skip:]
        taken = rest[: limit - len(page)]
        page += taken
        if len(taken) < len(rest):
            return page, (chunk, skip + len(taken))
        chunk, skip = chunk + 1, 0
        if len(page) == limit:
            return page, (chunk, 0) if chunk < place.chunks else None
    return page, None


async def _chunk(reader: Reader, tenant: Tenant, job: bytes, number: int) -> list[ActivationChange]:
    found = await read_artefact(reader, tenant.vault, _chunk_name(job, number))
    return msgspec.msgpack.decode(found.body, type=list[ActivationChange]) if found is not None else []


async def preview_artefacts(reader: Reader, tenant: Tenant, job: Job) -> list[bytes]:
    """List the nodes that a preview's list is kept in."""
    place = msgspec.msgpack.decode(job.checkpoint, type=_Place) if job.checkpoint else None
    roots = [artefact_root(tenant.vault, _chunk_name(job.id, chunk)) for chunk in range(place.chunks if place else 0)]
    found: list[bytes] = []
    for root in roots:
        version = await reader.artefact(root)
        found += [root] if version is None else [root, version.id]
    return found


def _chunk_name(job: bytes, number: int) -> str:
    return f"preview-{job.hex()}-{number}"
