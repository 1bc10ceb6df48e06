"""Hold what a server keeps in memory of a tenant: its keys, data model, match model, and profiles it opened before.

Everything here can be had again from the store and the vault; two servers on one store keep their own.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from threading import Lock
from typing import Generic, TypeVar

from msgspec import Struct

from goldenthread.graph.errors import GraphError
from goldenthread.graph.model import DataModel, Node, NodeKind, RecordContent
from goldenthread.graph.store import Reader, RecordState
from goldenthread.graph.vault import TenantVault
from goldenthread.resolver.guards import GuardRails, Guards
from goldenthread.resolver.normalise import NORMALISER_VERSION, Profile, profile_of
from goldenthread.server.commands.deployment import Deployment, Generation
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.prepare_record import (
    Member,
    SealedVersion,
    decode_profile,
    decode_version,
    member_of,
    member_with,
)
from goldenthread.server.commands.typed_content import Typing, typed, typing_of

__all__ = ["Cache", "Deployed", "Tenant"]

_ARTEFACTS = 64
K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Keep the values put last, up to a number of them. Threads may share it.

    One that is used again and again is let go once in as many values as there are. To move it to the end at each use would
    write to memory all over, which costs more than to look it up.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()
        self.hits = self.misses = 0

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is None:
            self.misses += 1
        else:
            self.hits += 1
        return value

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._values[key] = value
            if len(self._values) > self.size:
                self._values.popitem(last=False)

    def drop(self, keys: Iterable[K]) -> None:
        with self._lock:
            for key in keys:
                self._values.pop(key, None)


class Deployed(Struct, frozen=True):
    """What a server goes by, as it read it: the deployment with its id, and the models that it names.

    `typed_since` is the revision of the data model's last change.
    """

    id: bytes
    deployment: Deployment
    data_model: DataModel
    active: Generation
    staged: Generation | None
    typed_since: int = 0


class Tenant:
    """One tenant as this server knows it.

    `staged` is the generation that is kept up beside the one in use, if any. While models are switched it `settles`: identities
    of the former model are cut whole whenever one of their records is linked; and `copies` edges to MATCHES. See `deployment`.
    It settles as well while records are read again, see `jobs.renormalising`.
    """

    def __init__(self, name: str, vault: TenantVault, deployed: Deployed, *, cache_records: int) -> None:
        self.name, self.vault = name, vault
        self.members: Cache[bytes, Member] = Cache(cache_records)  # by version id
        self.profiles: Cache[bytes, Profile] = Cache(cache_records)  # by digest
        self.typing = Typing({}, 0)
        self.take(deployed)
        self.guards, self.guards_id, self.guards_since = Guards(GuardRails()), b"", 0
        self.is_supposed = False
        """True of a tenant under guard rails that are only tried: it does not follow those that are stored."""
        self.opened_at = now()
        self.guards_fired: Counter[str] = Counter()
        """By guard, the pairs of records that it kept apart, each time their component was linked, also to try, since then.

        Of a limit, and of identity_size, the identities that it parted or marked.
        """
        self.artefacts: Cache[bytes, bytes] = Cache(_ARTEFACTS)  # opened bodies by version id

    def take_guards(self, id: bytes, guards: Guards, since: int = 0) -> None:
        """Go on with other guard rails, named by the id of their version, which hold since a revision."""
        if guards.rails.blocked != self.guards.rails.blocked:
            self._forget()
        self.guards, self.guards_id, self.guards_since = guards, id, since

    def supposing(self, guards: Guards) -> Tenant:
        """Look at the tenant as if it had other guard rails."""
        other = copy(self)
        other.is_supposed = True
        other.take_guards(b"", guards)
        return other

    @property
    def models_mark(self) -> bytes:
        """Name the models and guard rails in use: equal in two processes when they read and match alike."""
        return self.deployed.id + self.guards_id

    @property
    def read_so_since(self) -> int:
        """The revision from which on profiles of records were made just as they are made now."""
        return max(self.deployed.typed_since, self.deployed.deployment.renormalised_at, self.guards_since)

    def take(self, deployed: Deployed) -> None:
        """Go on with what is deployed now."""
        self.deployed, self.staged = deployed, deployed.staged
        self.data_model = deployed.data_model
        typing = typing_of(deployed.data_model)
        if typing.mark != self.typing.mark:
            self._forget()
        self.typing = typing
        self.copies = deployed.deployment.is_switching
        self.settles = deployed.deployment.is_switching or deployed.deployment.is_renormalising
        self._use(deployed.active)

    def _forget(self) -> None:
        """Begin with empty caches, for records are read otherwise; a copy of the tenant goes on with the former."""
        self.members, self.profiles = Cache(self.members.size), Cache(self.profiles.size)

    def _use(self, active: Generation) -> None:
        self.active = active
        self.match_model, self.scorer, self.generation = active.model, active.scorer, active.number
        self.clustering = active.model.cluster_settings

    def under(self, generation: Generation) -> Tenant:
        """Look at the tenant as if a generation were in use, with identities still to be settled."""
        other = copy(self)
        other.staged, other.settles, other.copies = None, True, False
        other._use(generation)
        return other

    def remember(self, version: bytes, member: Member) -> None:
        """Keep a member for the next time its version is met."""
        self.members.put(version, member)
        self.profiles.put(member.digest, member.profile)

    async def members_of(self, states: Iterable[RecordState]) -> dict[bytes, Member]:
        """Get the members of records' current versions, by record id; tombstones and shredded versions are left out."""
        found: dict[bytes, Member] = {}
        missing: list[RecordState] = []
        for state in states:
            member = self.members.get(state.version.id)
            if member is not None:
                found[state.record.id] = member
            elif not state.version.properties["tombstone"]:
                missing.append(state)
        for state, plain in zip(missing, await self._open([s.version for s in missing]), strict=True):
            if plain is not None:
                member = member_of(self, *self._read(decode_version(plain)))
                if self.guards.blocker is not None:
                    profile = self.guards.blocker.cleaned(member.profile)
                    if profile is not member.profile:
                        member = member_with(self, member.order_key, profile, member.observed_at)
                self.remember(state.version.id, member)
                found[state.record.id] = member
        return found

    async def profiles_of(
        self, reader: Reader, records: Sequence[tuple[bytes, bytes]], *, with_members: bool = True
    ) -> dict[bytes, Profile]:
        """Get profiles by digest, given (record, digest) pairs that name a record to read each from.

        `with_members` also makes and keeps the members, for who links such records next; a digest of a profile that its record
        does not have any more, since records are read otherwise, is then answered only where the profile was kept.
        """
        found: dict[bytes, Profile] = {}
        missing: dict[bytes, bytes] = {}
        for record, digest in records:
            if digest in found or digest in missing:
                continue
            profile = self.profiles.get(digest)
            if profile is None:
                missing[digest] = record
            else:
                found[digest] = profile
        if not missing:
            return found
        if with_members:
            states = await reader.records(list(missing.values()))
            members = await self.members_of(states.values())
            found.update((member.digest, member.profile) for member in members.values())
            unknown = [(digest, record) for digest, record in missing.items() if digest not in found and record in states]
            stale = {digest: states[record].version for digest, record in unknown}
            found.update(await self._profiles_as_kept(stale))
            return found
        versions = await reader.current_versions(list(missing.values()))
        holders = [(digest, versions[record]) for digest, record in missing.items() if record in versions]
        for (digest, _), profile in zip(holders, await self._open_profiles([v for _, v in holders]), strict=True):
            if profile is not None:
                found[digest] = profile
                self.profiles.put(digest, profile)
        return found

    async def _open_profiles(self, versions: Sequence[Node]) -> list[Profile | None]:
        """Open the profiles of record versions; None for a tombstone and where the key is gone."""
        blocker = self.guards.blocker
        profiles: list[Profile | None] = []
        for plain in await self._open(versions):
            if plain is None:
                profiles.append(None)
                continue
            kept = decode_profile(plain)
            profile = kept.profile
            if kept.normaliser != NORMALISER_VERSION or kept.types != self.typing.mark:
                content, same = self._read(decode_version(plain))
                profile = same or profile_of(content.attributes, self.data_model.default_country)
            profiles.append(profile if blocker is None else blocker.cleaned(profile))
        return profiles

    async def _profiles_as_kept(self, versions: Mapping[bytes, Node]) -> dict[bytes, Profile]:
        """Open, by the digest that they were kept under, profiles that were made as they are made no more."""
        same = {digest: version for digest, version in versions.items() if version.properties["profile"] == digest}
        blocker = self.guards.blocker
        found: dict[bytes, Profile] = {}
        for digest, plain in zip(same, await self._open(list(same.values())) if same else (), strict=True):
            if plain is not None:
                profile = decode_profile(plain).profile
                found[digest] = profile if blocker is None else blocker.cleaned(profile)
        return found

    def _read(self, sealed: SealedVersion) -> tuple[RecordContent, Profile | None]:
        """Read a record's content by the data model of now; the profile that was kept, if it is the one it has by now."""
        content = sealed.content if sealed.types == self.typing.mark else typed(sealed.content, self.typing)
        is_same = content is sealed.content and sealed.normaliser == NORMALISER_VERSION
        return content, sealed.profile if is_same else None

    async def open_versions(self, versions: Sequence[Node]) -> list[RecordContent | None]:
        """Open the content of record versions; None for a tombstone and where the key is gone."""
        opened = await self._open(versions)
        return [self._read(decode_version(plain))[0] if plain is not None else None for plain in opened]

    async def _open(self, versions: Sequence[Node]) -> list[bytes | None]:
        alive = [v for v in versions if not v.properties["tombstone"]]
        opened = await self.vault.open([(v.id, NodeKind.RECORD_VERSION, _bytes(v, "sealed")) for v in alive])
        found = {v.id: plain for v, plain in zip(alive, opened, strict=True)}
        return [found.get(v.id) for v in versions]


def _bytes(node: Node, name: str) -> bytes:
    value = node.properties[name]
    if not isinstance(value, bytes):
        raise GraphError(f"The store gave a {node.kind.name} whose {name} is not bytes; restore it from a backup.")
    return value
