"""Keep match models as artefacts, and which of them are deployed."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import Node
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.graph.vault import TenantVault
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands.artefacts import artefact_root, put_artefact, read_artefact
from goldenthread.server.commands.deployment import Deployment
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, NotFound

__all__ = [
    "DATA_MODEL",
    "DEPLOYMENT",
    "MODELS",
    "ModelEntry",
    "change_deployment",
    "deploying",
    "keep_model",
    "read_entries",
    "read_model",
]

DATA_MODEL = "data-model"
DEPLOYMENT = "deployment"
MODELS = "models"


deploying: ContextVar[bytes] = ContextVar("deploying", default=b"")
"""The id of the deployment that the transaction of this task puts itself."""


class ModelEntry(Struct, frozen=True):
    """A match model as the list of models shows it.

    `origin` is given, uploaded or trained; `created_at` is UTC microseconds; `card` is JSON that says what it was learned from.
    """

    version: str
    name: str
    origin: str
    created_at: int
    card: str = ""
    normaliser: int = 0
    """The version of the normaliser that it was learned with; 0 where nobody noted it."""


async def read_entries(reader: Reader, vault: TenantVault) -> tuple[Node | None, list[ModelEntry]]:
    """Read the list of a tenant's models, the oldest first, and the artefact that it is."""
    found = await read_artefact(reader, vault, MODELS)
    return (None, []) if found is None else (found.node, msgspec.json.decode(found.body, type=list[ModelEntry]))


async def keep_model(
    transaction: Transaction, changes: ChangeSet, vault: TenantVault, entry: ModelEntry, model: MatchModel
) -> ModelEntry:
    """Have changes put a model and its entry; one that is there already stays as it is."""
    await transaction.lock([artefact_root(vault, MODELS)])
    node, entries = await read_entries(transaction, vault)
    known = next((one for one in entries if one.version == entry.version), None)
    if known is not None:
        return known
    entry = replace(entry, normaliser=model.normaliser_version)
    await put_artefact(changes, vault, f"model-{entry.version}", None, model.to_json())
    await put_artefact(changes, vault, MODELS, node, msgspec.json.encode([*entries, entry]))
    return entry


async def read_model(reader: Reader, vault: TenantVault, version: str) -> MatchModel:
    """Read a match model by its version.

    Raises:
        NotFound: there is none of that version.
        ModelUnreadable: it is of a newer normaliser or holds comparisons that are not known here.
    """
    found = await read_artefact(reader, vault, f"model-{version}")
    if found is None:
        raise NotFound("match model")
    return MatchModel.from_json(found.body)


async def change_deployment(
    transaction: Transaction, tenant: Tenant, changes: ChangeSet, change: Callable[[Deployment], Deployment]
) -> Deployment:
    """Have changes put the deployment as it is after a change."""
    await transaction.lock([artefact_root(tenant.vault, DEPLOYMENT)])
    found = await read_artefact(transaction, tenant.vault, DEPLOYMENT)
    if found is None:
        raise FailedPrecondition("the tenant's models can't be read; restore its keys from a backup")
    after = change(Deployment.from_json(found.body))
    deploying.set(await put_artefact(changes, tenant.vault, DEPLOYMENT, found.node, after.to_json()))
    return after
