"""Keep a tenant's data model as an artefact of its graph, and read what its records are resolved by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import (
    AttributeDefinition,
    Cardinality,
    DataModel,
    EdgeKind,
    PiiCategory,
    SemanticType,
    Survivorship,
)
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.graph.vault import TenantVault
from goldenthread.resolver.normalise import NORMALISER_VERSION
from goldenthread.resolver.scoring import MatchModel, Scorer
from goldenthread.resolver.scoring.model import ModelUnreadable
from goldenthread.server.commands.artefacts import artefact_root, put_artefact, read_artefact
from goldenthread.server.commands.deployment import Deployment, Generation
from goldenthread.server.commands.ids import now
from goldenthread.server.commands.model_artefacts import (
    DATA_MODEL,
    DEPLOYMENT,
    MODELS,
    ModelEntry,
    change_deployment,
    keep_model,
    read_model,
)
from goldenthread.server.commands.tenants import Deployed, Tenant
from goldenthread.server.config import Config, ConfigError
from goldenthread.server.errors import FailedPrecondition, InvalidField
from goldenthread.server.logs import logger

__all__ = [
    "DataModelChange",
    "DefaultModels",
    "change_data_model",
    "keep_defaults",
    "load_deployed",
    "person_data_model",
    "read_data_model",
    "read_default_models",
]

_log = logger()

_MAX_ATTRIBUTES = 500
T = TypeVar("T")


class DefaultModels(Struct, frozen=True):
    """The models that a new tenant starts with."""

    data_model: DataModel
    match_model: MatchModel


def person_data_model() -> DataModel:
    """Describe persons and organisations: the data model that is ready to use."""
    one, many = Cardinality.ONE, Cardinality.MANY
    personal, contact, document = PiiCategory.PERSONAL, PiiCategory.CONTACT, PiiCategory.DOCUMENT
    recent, frequent, complete = Survivorship.MOST_RECENT, Survivorship.MOST_FREQUENT, Survivorship.MOST_COMPLETE
    t = SemanticType
    rows: list[tuple[str, SemanticType, PiiCategory, Cardinality, Survivorship]] = [
        ("name", t.PERSON_NAME, personal, one, complete),
        ("given_name", t.GIVEN_NAME, personal, one, frequent),
        ("middle_name", t.MIDDLE_NAME, personal, one, complete),
        ("surname", t.SURNAME, personal, one, recent),
        ("name_suffix", t.NAME_SUFFIX, personal, one, frequent),
        ("other_name", t.OTHER_NAME, personal, many, recent),
        ("organisation_name", t.ORGANISATION_NAME, PiiCategory.NONE, one, frequent),
        ("birth_date", t.BIRTH_DATE, personal, one, frequent),
        ("gender", t.GENDER, PiiCategory.SPECIAL, one, frequent),
        ("email", t.EMAIL, contact, many, recent),
        ("phone", t.PHONE, contact, many, recent),
        ("address", t.ADDRESS, contact, one, recent),
        ("street", t.STREET, contact, one, recent),
        ("house_number", t.HOUSE_NUMBER, contact, one, recent),
        ("unit", t.UNIT, contact, one, recent),
        ("city", t.CITY, contact, one, recent),
        ("region", t.REGION, contact, one, recent),
        ("postcode", t.POSTCODE, contact, one, recent),
        ("country", t.COUNTRY, contact, one, recent),
        ("national_id", t.NATIONAL_ID, document, one, frequent),
        ("tax_id", t.TAX_ID, document, one, frequent),
        ("passport", t.PASSPORT, document, many, recent),
        ("drivers_licence", t.DRIVERS_LICENCE, document, one, recent),
        ("customer_account", t.CUSTOMER_ACCOUNT, document, many, recent),
        ("loyalty_account", t.LOYALTY_ACCOUNT, document, many, recent),
        ("device", t.DEVICE, document, many, recent),
        ("employer", t.EMPLOYER, personal, one, recent),
        ("occupation", t.OCCUPATION, personal, one, recent),
        ("birth_place", t.BIRTH_PLACE, personal, one, frequent),
    ]
    return DataModel(tuple(AttributeDefinition(*row) for row in rows))


def read_default_models(config: Config) -> DefaultModels:
    """Read the models for new tenants from the files the settings name, else take the shipped ones.

    Raises:
        ConfigError: a file can't be read or is not a model.
    """
    data_model, match_model = person_data_model(), None
    if config.data_model:
        data_model = _read_file(config.data_model, "data_model", lambda text: msgspec.yaml.decode(text, type=DataModel))
    if config.match_model:
        match_model = _read_file(config.match_model, "match_model", MatchModel.from_json)
    return DefaultModels(data_model, match_model or MatchModel.shipped())


def _read_file(path: str, setting: str, parse: Callable[[bytes], T]) -> T:
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(setting, f"names {path}, which can't be read ({error.strerror})", "give a file that exists") from None
    except (msgspec.DecodeError, ValueError):
        raise ConfigError(
            setting, f"names {path}, which is no such model", "export one with `goldenthread model export`"
        ) from None


async def keep_defaults(transaction: Transaction, vault: TenantVault, defaults: DefaultModels) -> None:
    """Keep the default models for a tenant that has none yet."""
    await transaction.lock([artefact_root(vault, name) for name in (DATA_MODEL, DEPLOYMENT, MODELS)])
    if await read_artefact(transaction, vault, DEPLOYMENT) is not None:
        return
    changes = ChangeSet()
    data_model = await put_artefact(changes, vault, DATA_MODEL, None, msgspec.json.encode(defaults.data_model))
    model = defaults.match_model
    await keep_model(transaction, changes, vault, ModelEntry(model.version, model.name, "given", now()), model)
    deployment = Deployment(
        active=model.version, data_model=data_model.hex(), normaliser=NORMALISER_VERSION, keeps_staged=False
    )
    await put_artefact(changes, vault, DEPLOYMENT, None, deployment.to_json())
    await transaction.apply(changes)


async def load_deployed(reader: Reader, vault: TenantVault, known: Deployed | None = None) -> Deployed | None:
    """Read what a tenant is resolved by, keeping what is `known` and still holds; None when it has nothing yet.

    Raises:
        FailedPrecondition: a model can't be opened, or a newer version of this program keeps the tenant.
    """
    found = await read_artefact(reader, vault, DEPLOYMENT)
    if found is None:
        return None
    if known is not None and known.id == found.node.id:
        return known
    deployment = Deployment.from_json(found.body)
    if deployment.normaliser > NORMALISER_VERSION:
        raise FailedPrecondition("the tenant's records are kept by a newer version of goldenthread; upgrade this server")
    data_model, typed_since = await read_data_model(reader, vault)
    generations = {g.model.version: g for g in (known.active, known.staged) if g is not None} if known is not None else {}

    async def generation(version: str, number: int, matches: EdgeKind) -> Generation:
        like = generations.get(version)
        model = like.model if like is not None else await _model_in_use(reader, vault, version)
        scorer = like.scorer if like is not None else await asyncio.to_thread(Scorer, model)
        return Generation(number, model, scorer, matches)

    matches = EdgeKind.STAGED if deployment.is_switching else EdgeKind.MATCHES
    active = await generation(deployment.active, deployment.generation, matches)
    staged = None
    if deployment.staged:
        staged = await generation(deployment.staged, deployment.staged_generation, EdgeKind.STAGED)
    return Deployed(found.node.id, deployment, data_model, active, staged, typed_since)


async def _model_in_use(reader: Reader, vault: TenantVault, version: str) -> MatchModel:
    try:
        model = await read_model(reader, vault, version)
    except ModelUnreadable as error:
        raise FailedPrecondition(
            f"match model {version} is in use and can't be read ({error.problem}); serve the tenant with the version of "
            "goldenthread before, activate another model, and upgrade then"
        ) from None
    if model.is_outdated:
        _log.warning("a match model in use was learned by an older normaliser; train one anew", reason=version)
    return model


async def read_data_model(reader: Reader, vault: TenantVault) -> tuple[DataModel, int]:
    """Read the tenant's data model and the revision of its last change."""
    found = await read_artefact(reader, vault, DATA_MODEL)
    return (
        (msgspec.json.decode(found.body, type=DataModel), found.node.recorded_from) if found is not None else (DataModel(), 0)
    )


class DataModelChange(Struct, frozen=True):
    """What a change of the data model comes to; `reads_otherwise` when values that are kept have other types by it.

    `version` is the id of its new version, empty where nothing changes.
    """

    data_model: DataModel
    changes: ChangeSet
    reads_otherwise: bool
    version: bytes = b""


async def change_data_model(
    transaction: Transaction, tenant: Tenant, wanted: DataModel, removed: Sequence[str]
) -> DataModelChange:
    """Declare attributes, also with another type than before, remove some, and change how values survive.

    Records are read so from the commit on; see `jobs.renormalising` for those that are kept.

    Raises:
        FailedPrecondition: an attribute would become one that names relationships, or be no such any more.
        InvalidField: too many attributes, or one named twice.
    """
    vault = tenant.vault
    await transaction.lock([artefact_root(vault, DATA_MODEL)])
    former = await read_artefact(transaction, vault, DATA_MODEL)
    known = msgspec.json.decode(former.body, type=DataModel) if former is not None else DataModel()
    merged = _merge(known, wanted, removed)
    changes = ChangeSet()
    if merged == known:
        return DataModelChange(known, changes, reads_otherwise=False)
    former_node = former.node if former is not None else None
    data_model = await put_artefact(changes, vault, DATA_MODEL, former_node, msgspec.json.encode(merged))
    reads_otherwise = merged.types != known.types
    revision = transaction.revision.number

    def changed(deployment: Deployment) -> Deployment:
        after = replace(deployment, data_model=data_model.hex())
        return replace(after, is_renormalising=True, renormalised_at=revision) if reads_otherwise else after

    await change_deployment(transaction, tenant, changes, changed)
    return DataModelChange(merged, changes, reads_otherwise, data_model)


def _merge(known: DataModel, wanted: DataModel, removed: Sequence[str]) -> DataModel:
    attributes = {definition.name: definition for definition in known.attributes}
    seen: set[str] = set()
    for definition in wanted.attributes:
        if definition.name in seen:
            raise InvalidField("data_model.attributes", f"names {definition.name} twice")
        seen.add(definition.name)
        before = attributes.get(definition.name)
        types = (definition.type, before.type if before is not None else definition.type)
        if SemanticType.RELATIONSHIP in types and types[0] is not types[1]:
            raise FailedPrecondition(f"attribute {definition.name} is declared as {types[1].name}; use another name")
        attributes[definition.name] = definition
    for place, name in enumerate(removed):
        if name in seen:
            raise InvalidField(f"removed_attributes[{place}]", f"names {name}, which the data model declares as well")
        gone = attributes.pop(name, None)
        if gone is None and name not in known.removed:
            raise InvalidField(f"removed_attributes[{place}]", f"names {name}, which is not declared")
        if gone is not None and gone.type is SemanticType.RELATIONSHIP:
            raise FailedPrecondition(f"attribute {name} names relationships, which records keep; leave it declared")
    left = tuple(sorted({*known.removed, *removed} - attributes.keys()))
    if len(attributes) > _MAX_ATTRIBUTES:
        raise InvalidField("data_model.attributes", f"may be {_MAX_ATTRIBUTES} at most")
    if wanted.default_country not in ("", known.default_country):
        raise FailedPrecondition("the default country can't change, because records were resolved with it")
    return DataModel(tuple(attributes.values()), known.default_country, left)
