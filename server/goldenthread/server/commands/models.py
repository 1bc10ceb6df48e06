"""Keep a tenant's data model as an artefact of its graph, and read what its records are resolved by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from goldenthread.resolver.scoring import MatchModel, Scorer
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

__all__ = [
    "DefaultModels",
    "keep_defaults",
    "load_deployed",
    "person_data_model",
    "read_data_model",
    "read_default_models",
    "update_data_model",
]

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
    deployment = Deployment(active=model.version, data_model=data_model.hex())
    await put_artefact(changes, vault, DEPLOYMENT, None, deployment.to_json())
    await transaction.apply(changes)


async def load_deployed(reader: Reader, vault: TenantVault, known: Deployed | None = None) -> Deployed | None:
    """Read what a tenant is resolved by, keeping what is `known` and still holds; None when it has nothing yet.

    Raises:
        FailedPrecondition: a model can't be opened.
    """
    found = await read_artefact(reader, vault, DEPLOYMENT)
    if found is None:
        return None
    if known is not None and known.id == found.node.id:
        return known
    deployment = Deployment.from_json(found.body)
    data_model, _ = await read_data_model(reader, vault)
    generations = {g.model.version: g for g in (known.active, known.staged) if g is not None} if known is not None else {}

    async def generation(version: str, number: int, matches: EdgeKind) -> Generation:
        like = generations.get(version)
        model = like.model if like is not None else await read_model(reader, vault, version)
        scorer = like.scorer if like is not None else await asyncio.to_thread(Scorer, model)
        return Generation(number, model, scorer, matches)

    matches = EdgeKind.STAGED if deployment.is_switching else EdgeKind.MATCHES
    active = await generation(deployment.active, deployment.generation, matches)
    staged = None
    if deployment.staged:
        staged = await generation(deployment.staged, deployment.staged_generation, EdgeKind.STAGED)
    return Deployed(found.node.id, deployment, data_model, active, staged)


async def read_data_model(reader: Reader, vault: TenantVault) -> tuple[DataModel, int]:
    """Read the tenant's data model and the revision of its last change."""
    found = await read_artefact(reader, vault, DATA_MODEL)
    return (
        (msgspec.json.decode(found.body, type=DataModel), found.node.recorded_from) if found is not None else (DataModel(), 0)
    )


async def update_data_model(transaction: Transaction, tenant: Tenant, wanted: DataModel) -> tuple[DataModel, int]:
    """Declare new attributes and change how values survive; return the model as it is now, and its revision.

    Raises:
        FailedPrecondition: an attribute that is declared would change its type.
        InvalidField: too many attributes, or one named twice.
    """
    vault = tenant.vault
    await transaction.lock([artefact_root(vault, DATA_MODEL)])
    former = await read_artefact(transaction, vault, DATA_MODEL)
    known = msgspec.json.decode(former.body, type=DataModel) if former is not None else DataModel()
    merged = _merge(known, wanted)
    if merged == known:
        return known, transaction.revision.number
    changes = ChangeSet()
    former_node = former.node if former is not None else None
    data_model = await put_artefact(changes, vault, DATA_MODEL, former_node, msgspec.json.encode(merged))
    await change_deployment(transaction, tenant, changes, lambda deployment: replace(deployment, data_model=data_model.hex()))
    return merged, (await transaction.apply(changes)).number


def _merge(known: DataModel, wanted: DataModel) -> DataModel:
    attributes = {definition.name: definition for definition in known.attributes}
    seen: set[str] = set()
    for definition in wanted.attributes:
        if definition.name in seen:
            raise InvalidField("data_model.attributes", f"names {definition.name} twice")
        seen.add(definition.name)
        before = attributes.get(definition.name)
        if before is not None and before.type is not definition.type:
            raise FailedPrecondition(f"attribute {definition.name} is declared as {before.type.name}; use another name")
        attributes[definition.name] = definition
    if len(attributes) > _MAX_ATTRIBUTES:
        raise InvalidField("data_model.attributes", f"may be {_MAX_ATTRIBUTES} at most")
    if wanted.default_country not in ("", known.default_country):
        raise FailedPrecondition("the default country can't change, because records were resolved with it")
    return DataModel(tuple(attributes.values()), known.default_country)
