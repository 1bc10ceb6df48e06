"""Follow a tenant's guard rails as they are stored, and take blocked values out of records."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from goldenthread.graph.model import SemanticType
from goldenthread.graph.store import Reader
from goldenthread.graph.vault import TenantVault
from goldenthread.resolver.blocked import BLOCKABLE, Blocker, blocked_text
from goldenthread.resolver.guards import BlockedValue, GuardRails, Guards
from goldenthread.server.commands.artefacts import artefact_root, open_artefact
from goldenthread.server.commands.prepare_record import PreparedUpsert, keys_of_profile, member_with
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, InvalidField

__all__ = ["GUARD_RAILS", "blinded", "follow_guards", "guards_of", "without_blocked"]

GUARD_RAILS = "guard-rails"


async def follow_guards(reader: Reader, tenant: Tenant) -> None:
    """Go on with the guard rails that a reader finds, where another transaction or server changed them."""
    node = await reader.artefact(artefact_root(tenant.vault, GUARD_RAILS))
    if node is None or node.id == tenant.guards_id or tenant.is_supposed:
        return
    body = await open_artefact(tenant.vault, node)
    if body is None:
        raise FailedPrecondition("the tenant's guard rails can't be read; restore its keys from a backup")
    tenant.take_guards(node.id, guards_of(tenant.vault, GuardRails.from_json(body)), node.recorded_from)


def guards_of(vault: TenantVault, rails: GuardRails) -> Guards:
    """Make stored guard rails, of which blocked values are digests, ready."""
    digests: dict[SemanticType, set[str]] = {}
    for one in rails.blocked:
        digests.setdefault(BLOCKABLE[one.type], set()).add(one.digest)
    if not digests:
        return Guards(rails)
    return Guards(rails, Blocker({kind: partial(_is_among, vault, kind, frozenset(of)) for kind, of in digests.items()}))


def _is_among(vault: TenantVault, kind: SemanticType, digests: frozenset[str], text: str) -> bool:
    return _digest(vault, kind, text) in digests


def _digest(vault: TenantVault, kind: SemanticType, text: str) -> str:
    return vault.blind(f"blocked-{int(kind)}", text).hex()


def blinded(tenant: Tenant, rails: GuardRails) -> GuardRails:
    """Put digests in place of blocked values.

    Raises:
        InvalidField: one can't be read as its type.
    """
    found: dict[tuple[str, str], None] = {}
    for place, one in enumerate(rails.blocked):
        digest = one.digest
        if not digest:
            kind = BLOCKABLE[one.type]
            text = blocked_text(kind, one.value, tenant.data_model.default_country)
            if text is None:
                raise InvalidField(f"guard_rails.blocked[{place}].value", f"can't be read as {kind.name}")
            digest = _digest(tenant.vault, kind, text)
        found[one.type, digest] = None
    return replace(rails, blocked=tuple(BlockedValue(type, digest=digest) for type, digest in sorted(found)))


def without_blocked(tenant: Tenant, batch: Iterable[PreparedUpsert]) -> list[PreparedUpsert]:
    """Take blocked values out of prepared records: they are evidence, candidate keys and identifiers no more."""
    blocker = tenant.guards.blocker
    return list(batch) if blocker is None else [_cleaned(tenant, blocker, upsert) for upsert in batch]


def _cleaned(tenant: Tenant, blocker: Blocker, upsert: PreparedUpsert) -> PreparedUpsert:
    profile = blocker.cleaned(upsert.member.profile)
    if profile is upsert.member.profile:
        return upsert
    identifiers, blocks = keys_of_profile(tenant, profile)
    consents = tuple(one if one.point in identifiers else replace(one, point=None) for one in upsert.consents)
    member = member_with(tenant, upsert.member.order_key, profile, upsert.member.observed_at)
    return replace(
        upsert, member=member, identifiers=identifiers, blocks=blocks, consents=consents, generation=tenant.generation
    )
