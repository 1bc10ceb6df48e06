"""Prepare a record to be put: all that needs no store and nothing but the tenant's models and index key.

Normalising, blinding and encoding are a third of a record's work, and can be done in another process (see
`services.preparing`); so everything here goes there and back as msgpack.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import ConsentStatement, DataModel, RecordContent, Relationship, RelationshipKind, SemanticType
from goldenthread.graph.vault import Blinder
from goldenthread.resolver.blocking import HasRules, candidate_keys
from goldenthread.resolver.households import HouseholdKey, household_keys_of
from goldenthread.resolver.normalise import (
    NORMALISER_VERSION,
    IdentifierValue,
    Profile,
    identifier_of,
    identifiers,
    profile_of,
)
from goldenthread.resolver.relationships import mask_of
from goldenthread.server.commands.deployment import tagged
from goldenthread.server.commands.typed_content import Typing, typed

__all__ = [
    "Member",
    "PreparedConsent",
    "PreparedUpsert",
    "Preparing",
    "SealedVersion",
    "block_key",
    "blocks_of_profile",
    "consent_ids",
    "contact_points",
    "decode_profile",
    "decode_version",
    "household_key",
    "identifier_key",
    "keys_of_profile",
    "member_of",
    "member_with",
    "prepare",
    "prepare_again",
    "record_alias",
    "relations_of",
]

_encode = msgspec.msgpack.Encoder().encode


class Preparing(Protocol):
    """What preparing needs of a tenant."""

    @property
    def vault(self) -> Blinder:
        """What blinds the tenant's keys."""
        ...

    @property
    def data_model(self) -> DataModel:
        """The tenant's data model."""
        ...

    @property
    def match_model(self) -> HasRules:
        """The rules that make candidate keys."""
        ...

    @property
    def generation(self) -> int:
        """The generation whose keys they are."""
        ...

    @property
    def typing(self) -> Typing:
        """As what the data model reads values."""
        ...


class Member(Struct, frozen=True, gc=False, array_like=True):
    """What resolving needs of a record version.

    `digest` names the profile; `order_key` is (source, source record id); `households` are (blind key, reason).
    """

    order_key: tuple[str, str]
    digest: bytes
    profile: Profile
    households: tuple[tuple[bytes, str], ...]
    observed_at: int


class SealedVersion(Struct, frozen=True, array_like=True, gc=False):
    """What is sealed of a record version: what the source said, and its profile, which takes longer to make than to open."""

    content: RecordContent
    normaliser: int
    profile: Profile
    types: int = 0
    """The mark of the types that its values have; 0 where nobody noted it."""


class SealedProfile(Struct, frozen=True, array_like=True, gc=False):
    """A SealedVersion whose content is left as it is, for who needs its profile alone."""

    content: msgspec.Raw
    normaliser: int
    profile: Profile
    types: int = 0


decode_version = msgspec.msgpack.Decoder(SealedVersion).decode
decode_profile = msgspec.msgpack.Decoder(SealedProfile).decode


class PreparedConsent(Struct, frozen=True, array_like=True, gc=False):
    """A consent statement ready to be kept; `point` is the key of the record's own identifier that it names, if any."""

    id: bytes
    properties: dict[str, int | str]
    plaintext: bytes
    point: bytes | None


class PreparedUpsert(Struct, frozen=True, array_like=True, gc=False):
    """A record ready to be committed. What is bytes is blind, but for `plaintext`, which is to be sealed."""

    source: bytes
    party: int
    observed_at: int
    has_observed_at: bool
    source_version: int
    digest: bytes
    alias: bytes
    member: Member
    plaintext: bytes
    identifiers: dict[bytes, IdentifierValue]
    blocks: tuple[bytes, ...]
    generation: int
    """The generation that the blocks are of."""
    consents: tuple[PreparedConsent, ...]
    request: tuple[bytes, bytes, str] | None
    """Id of the Request node, digest of the body, and the request_id itself."""
    relations: tuple[tuple[bytes, int], ...] = ()
    """Aliases of the records that it names as somebody else's, with the bits of what they are to this one."""
    types: int = 0
    """The mark of the types that its values have."""

    @property
    def keys(self) -> list[bytes]:
        """Every candidate key."""
        return [*self.identifiers, *self.blocks]

    @property
    def order(self) -> tuple[int, int, bytes]:
        """Where it stands among its record's versions: by (observed-at, source version, content)."""
        return self.observed_at, self.source_version, self.digest


def record_alias(tenant: Preparing, source: str, source_record_id: str) -> bytes:
    """Blind a record's own id at its source."""
    return tenant.vault.blind("source-record", f"{source}\0{source_record_id}")


def relations_of(tenant: Preparing, content: RecordContent) -> tuple[tuple[bytes, int], ...]:
    """List whom a record names by their records, in order; one who is several things to it is named once."""
    kinds: dict[bytes, set[RelationshipKind]] = {}
    for said in content.attributes:
        if isinstance(said.value, Relationship) and said.value.source_record_id:
            alias = record_alias(tenant, said.value.source, said.value.source_record_id)
            kinds.setdefault(alias, set()).add(said.value.kind)
    return tuple((alias, mask_of(found)) for alias, found in sorted(kinds.items()))


def consent_ids(tenant: Preparing, content: RecordContent) -> dict[bytes, ConsentStatement]:
    """Name the consent statements of a record: the same statement of the same record again is the same node."""
    if not content.consents:
        return {}
    alias = record_alias(tenant, content.source, content.source_record_id)
    return {tenant.vault.blind("consent", alias + _encode(statement)): statement for statement in content.consents}


def identifier_key(tenant: Preparing, identifier: IdentifierValue) -> bytes:
    """Blind an identifier: the id of its node."""
    return tenant.vault.blind(f"identifier-{int(identifier.type)}", identifier.text)


def household_key(tenant: Preparing, key: HouseholdKey) -> bytes:
    """Blind what the members of a household have in common: the id of its node."""
    return tenant.vault.blind("household", f"{key.reason}\0{key.text}")


def keys_of_profile(tenant: Preparing, profile: Profile) -> tuple[dict[bytes, IdentifierValue], tuple[bytes, ...]]:
    """Blind all candidate keys of a profile: its identifiers, and its blocking keys."""
    found = {identifier_key(tenant, identifier): identifier for identifier in identifiers(profile)}
    return found, blocks_of_profile(tenant.vault, tenant.match_model, tenant.generation, profile)


def blocks_of_profile(vault: Blinder, rules: HasRules, generation: int, profile: Profile) -> tuple[bytes, ...]:
    """Blind the blocking keys of a profile under one generation's rules."""
    return tuple(dict.fromkeys(block_key(vault, generation, key.rule, key.text) for key in candidate_keys(profile, rules)))


def block_key(vault: Blinder, generation: int, rule: str, text: str) -> bytes:
    """Blind one blocking key under a generation: the id of its node."""
    return tagged(generation, vault.blind(f"block-{rule}", text))


def member_of(tenant: Preparing, content: RecordContent, profile: Profile | None = None) -> Member:
    """Say what resolving needs of a record's content; normalise it unless its profile is known."""
    if profile is None:
        profile = profile_of(content.attributes, tenant.data_model.default_country)
    return member_with(tenant, (content.source, content.source_record_id), profile, content.observed_at)


def member_with(tenant: Preparing, order_key: tuple[str, str], profile: Profile, observed_at: int) -> Member:
    """Say what resolving needs of a record with a profile."""
    households = tuple((household_key(tenant, key), key.reason) for key in household_keys_of(profile))
    # Equal profiles, and only they, have equal digests; who lacks the key learns nothing from one.
    digest = tenant.vault.digest("profile", profile.encode(), 8)
    return Member(order_key, digest, profile, households, observed_at)


def prepare(tenant: Preparing, content: RecordContent, has_observed_at: bool, request_id: str, body: bytes) -> PreparedUpsert:
    """Do everything for a record that needs no store. `body` is what the caller sent, to recognise a repeated request."""
    vault = tenant.vault
    member = member_of(tenant, content)
    found, blocks = keys_of_profile(tenant, member.profile)
    said = _encode((content.party, content.attributes, content.consents))
    return PreparedUpsert(
        source=vault.blind("source", content.source),
        party=int(content.party),
        observed_at=content.observed_at,
        has_observed_at=has_observed_at,
        source_version=content.source_version,
        digest=vault.digest("content", said),
        alias=record_alias(tenant, content.source, content.source_record_id),
        member=member,
        plaintext=_encode(SealedVersion(content, NORMALISER_VERSION, member.profile, tenant.typing.mark)),
        identifiers=found,
        blocks=blocks,
        generation=tenant.generation,
        consents=tuple(_consent(tenant, id, said, found) for id, said in consent_ids(tenant, content).items()),
        request=(vault.blind("request", request_id), vault.digest("request-body", body), request_id) if request_id else None,
        relations=relations_of(tenant, content),
        types=tenant.typing.mark,
    )


def prepare_again(tenant: Preparing, upsert: PreparedUpsert) -> PreparedUpsert:
    """Prepare what was prepared for other models than those in use by now."""
    if upsert.types != tenant.typing.mark:
        content = typed(decode_version(upsert.plaintext).content, tenant.typing)
        return replace(prepare(tenant, content, upsert.has_observed_at, "", b""), request=upsert.request)
    _, blocks = keys_of_profile(tenant, upsert.member.profile)
    return replace(upsert, blocks=blocks, generation=tenant.generation)


def contact_points(tenant: Preparing, content: RecordContent, own: Container[bytes]) -> dict[bytes, bytes | None]:
    """Say which of a record's own identifiers each of its consent statements names, by the statement's id."""
    return {id: _contact_point(tenant, statement, own) for id, statement in consent_ids(tenant, content).items()}


def _consent(
    tenant: Preparing, id: bytes, statement: ConsentStatement, own: Mapping[bytes, IdentifierValue]
) -> PreparedConsent:
    properties: dict[str, int | str] = {
        "purpose": statement.purpose,
        "state": int(statement.state),
        "channel": statement.channel,
        "event_time": statement.event_time,
    }
    return PreparedConsent(id, properties, _encode(statement), _contact_point(tenant, statement, own))


def _contact_point(tenant: Preparing, statement: ConsentStatement, own: Container[bytes]) -> bytes | None:
    """Find the record's own identifier that a consent statement names, if it names one."""
    if not statement.contact_point:
        return None
    for type in (SemanticType.EMAIL, SemanticType.PHONE):
        identifier = identifier_of(type, statement.contact_point, "", tenant.data_model.default_country)
        if identifier is not None and (key := identifier_key(tenant, identifier)) in own:
            return key
    return None
