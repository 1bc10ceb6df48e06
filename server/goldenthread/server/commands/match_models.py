"""Keep match models, and list and read them with where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec
from msgspec import Struct

from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.resolver.normalise import NORMALISER_VERSION
from goldenthread.resolver.scoring import MatchModel
from goldenthread.resolver.scoring.model import ModelUnreadable
from goldenthread.server.commands.deployment import Deployment
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.model_artefacts import ModelEntry, keep_model, read_entries, read_model
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, InvalidField, NotFound

__all__ = ["ModelState", "ModelView", "create_model", "find_entry", "get_model", "list_models", "parse_model", "usable_model"]


class ModelState(IntEnum):
    """Where a model stands; the values are those of the proto."""

    KEPT = 1
    STAGING = 2
    STAGED = 3
    ACTIVATING = 4
    ACTIVE = 5


class ModelView(Struct, frozen=True):
    """A model as the list shows it, and where it stands."""

    entry: ModelEntry
    state: ModelState

    @property
    def is_outdated(self) -> bool:
        """Whether it was learned from texts that an older version normalised."""
        return 0 < self.entry.normaliser < NORMALISER_VERSION


class _Created(Struct, frozen=True):
    version: str
    revision: int


def parse_model(artefact: bytes) -> MatchModel:
    """Read a model that a caller sends.

    Raises:
        InvalidField: it is none, or of another version of the program.
    """
    try:
        return MatchModel.from_json(artefact)
    except ModelUnreadable as error:
        raise InvalidField(
            "artefact", f"can't be used ({error.problem}); export it with this version of goldenthread"
        ) from None


async def create_model(engine: Engine, tenant: Tenant, artefact: bytes, card: str, request: Request) -> tuple[ModelView, int]:
    """Keep a model that was learned elsewhere; return it, and the revision.

    Raises:
        InvalidField: it is no model, or its card is no JSON.
        RequestIdReused: the id was used with another body.
    """
    model = parse_model(artefact)
    try:
        msgspec.json.decode(card or "null")
    except msgspec.DecodeError:
        raise InvalidField("card", "must be JSON") from None

    async def work(transaction: Transaction, at: int) -> _Created:
        async def change() -> tuple[ChangeSet, _Created]:
            changes = ChangeSet()
            entry = ModelEntry(model.version, model.name, "uploaded", at, card)
            await keep_model(transaction, changes, tenant.vault, entry, model)
            return changes, _Created(model.version, transaction.revision.number + 1)

        return await once(transaction, tenant, request, at, _Created, change)

    created = await engine.write(tenant, work)
    return await _view(engine, tenant, created.version), created.revision


async def list_models(engine: Engine, tenant: Tenant, start: int, limit: int) -> tuple[Sequence[ModelView], int]:
    """Read a page of models from a place on; the second value is where the next one starts, 0 on the last."""
    async with engine.reader(tenant) as reader:
        _, entries = await read_entries(reader, tenant.vault)
        await engine.follow(reader, tenant)
    deployment = tenant.deployed.deployment
    views = [ModelView(entry, _state(deployment, entry.version)) for entry in entries[start : start + limit]]
    return views, start + limit if start + limit < len(entries) else 0


async def get_model(engine: Engine, tenant: Tenant, version: str) -> tuple[ModelView, MatchModel]:
    """Read a model, whole.

    Raises:
        NotFound: there is none of that version.
        FailedPrecondition: this version of the program can't use it.
    """
    view = await _view(engine, tenant, version)
    async with engine.reader(tenant) as reader:
        return view, await usable_model(reader, tenant, version)


async def usable_model(reader: Reader, tenant: Tenant, version: str) -> MatchModel:
    """Read a model that is to be used.

    Raises:
        NotFound: there is none of that version.
        FailedPrecondition: this version of the program can't use it.
    """
    try:
        return await read_model(reader, tenant.vault, version)
    except ModelUnreadable as error:
        raise FailedPrecondition(
            f"match model {version} can't be used ({error.problem}); train one with this version of goldenthread"
        ) from None


def find_entry(entries: Sequence[ModelEntry], version: str) -> ModelEntry:
    """Find a model in the list.

    Raises:
        NotFound: it is not there.
    """
    found = next((entry for entry in entries if entry.version == version), None)
    if found is None:
        raise NotFound("match model")
    return found


async def _view(engine: Engine, tenant: Tenant, version: str) -> ModelView:
    async with engine.reader(tenant) as reader:
        _, entries = await read_entries(reader, tenant.vault)
        await engine.follow(reader, tenant)
    return ModelView(find_entry(entries, version), _state(tenant.deployed.deployment, version))


def _state(deployment: Deployment, version: str) -> ModelState:
    if version == deployment.active:
        return ModelState.ACTIVATING if deployment.is_switching else ModelState.ACTIVE
    if version == deployment.staged:
        return ModelState.STAGED if deployment.is_complete else ModelState.STAGING
    return ModelState.KEPT
