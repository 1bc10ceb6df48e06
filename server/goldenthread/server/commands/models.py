"""Keep a tenant's data model and match model as artefacts of its graph, so that they never change under its records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from goldenthread.graph.model import (
    AttributeDefinition,
    Cardinality,
    DataModel,
    PiiCategory,
    SemanticType,
    Survivorship,
)
from goldenthread.graph.store import ChangeSet, Reader, Store, Transaction
from goldenthread.graph.vault import TenantVault
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands.artefacts import artefact_root, put_artefact, read_artefact
from goldenthread.server.commands.ids import now
from goldenthread.server.config import Config, ConfigError
from goldenthread.server.errors import FailedPrecondition, InvalidField

__all__ = ["DefaultModels", "load_models", "person_data_model", "read_data_model", "read_default_models", "update_data_model"]

_DATA_MODEL = "data-model"
_MATCH_MODEL = "match-model"
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


async def load_models(store: Store, tenant: str, vault: TenantVault, defaults: DefaultModels) -> tuple[DataModel, MatchModel]:
    """Read a tenant's models; keep the default ones for it when it has none yet."""

    async def keep_defaults(transaction: Transaction) -> None:
        await transaction.lock([artefact_root(vault, _DATA_MODEL), artefact_root(vault, _MATCH_MODEL)])
        if await read_artefact(transaction, vault, _DATA_MODEL) is not None:
            return
        changes = ChangeSet()
        await put_artefact(changes, vault, _DATA_MODEL, None, msgspec.json.encode(defaults.data_model))
        await put_artefact(changes, vault, _MATCH_MODEL, None, defaults.match_model.to_json())
        await transaction.apply(changes)

    async with store.reader(tenant) as reader:
        found = await _read_models(reader, vault)
    if found is not None:
        return found
    await store.write(tenant, now(), keep_defaults)
    async with store.reader(tenant) as reader:
        found = await _read_models(reader, vault)
    if found is None:
        raise FailedPrecondition("the tenant's models can't be read; restore its keys from a backup")
    return found


async def read_data_model(reader: Reader, vault: TenantVault) -> tuple[DataModel, int]:
    """Read the tenant's data model and the revision of its last change."""
    found = await read_artefact(reader, vault, _DATA_MODEL)
    return (
        (msgspec.json.decode(found.body, type=DataModel), found.node.recorded_from) if found is not None else (DataModel(), 0)
    )


async def update_data_model(transaction: Transaction, vault: TenantVault, wanted: DataModel) -> tuple[DataModel, int]:
    """Declare new attributes and change how values survive; return the model as it is now, and its revision.

    Raises:
        FailedPrecondition: an attribute that is declared would change its type.
        InvalidField: too many attributes, or one named twice.
    """
    await transaction.lock([artefact_root(vault, _DATA_MODEL)])
    former = await read_artefact(transaction, vault, _DATA_MODEL)
    known = msgspec.json.decode(former.body, type=DataModel) if former is not None else DataModel()
    merged = _merge(known, wanted)
    if merged == known:
        return known, transaction.revision.number
    changes = ChangeSet()
    await put_artefact(changes, vault, _DATA_MODEL, former.node if former is not None else None, msgspec.json.encode(merged))
    return merged, (await transaction.apply(changes)).number


async def _read_models(reader: Reader, vault: TenantVault) -> tuple[DataModel, MatchModel] | None:
    data_model = await read_artefact(reader, vault, _DATA_MODEL)
    match_model = await read_artefact(reader, vault, _MATCH_MODEL)
    if data_model is None or match_model is None:
        return None
    return msgspec.json.decode(data_model.body, type=DataModel), MatchModel.from_json(match_model.body)


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
