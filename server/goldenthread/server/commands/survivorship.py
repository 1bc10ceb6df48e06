"""Keep a tenant's survivorship rules, versioned: a golden record as of a revision follows the rules of that revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from goldenthread.graph.model import DataModel, Node
from goldenthread.graph.store import ChangeSet, Reader, Transaction
from goldenthread.resolver.golden import SurvivorshipRules
from goldenthread.server.commands.artefacts import artefact_root, open_artefact, put_artefact
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import InvalidField

__all__ = ["check_rules", "put_rules", "read_rules"]

_RULES = "survivorship-rules"


async def read_rules(reader: Reader, tenant: Tenant) -> tuple[SurvivorshipRules, int]:
    """Read the rules that hold at the reader's revision, and the revision of their last change; empty ones and 0 at first."""
    node = await reader.artefact(artefact_root(tenant.vault, _RULES))
    body = await _opened(tenant, node) if node is not None else None
    if node is None or body is None:
        return SurvivorshipRules(), 0
    return msgspec.json.decode(body, type=SurvivorshipRules), node.recorded_from


async def _opened(tenant: Tenant, node: Node) -> bytes | None:
    known = tenant.artefacts.get(node.id)
    if known is None:
        known = await open_artefact(tenant.vault, node)
        if known is not None:
            tenant.artefacts.put(node.id, known)
    return known


def check_rules(rules: SurvivorshipRules, model: DataModel) -> None:
    """Hold rules to each other and to the data model.

    Raises:
        InvalidField: a name comes twice, or something is named that is not there.
    """
    field = "survivorship_rules"
    _check_once([rule.name for rule in rules.rules], f"{field}.rules")
    _check_once([limit.purpose for limit in rules.purposes], f"{field}.purposes")
    _check_once([name for group in rules.groups for name in group.attributes], f"{field}.groups")
    purposes = {limit.purpose for limit in rules.purposes}
    for place, rule in enumerate(rules.rules):
        if not purposes.issuperset(rule.purposes):
            raise InvalidField(f"{field}.rules[{place}].purposes", "names a purpose that `purposes` does not list")
        _check_once([trust.source for trust in rule.trust], f"{field}.rules[{place}].trust")
    for place, group in enumerate(rules.groups):
        if any(model.definition(name) is None for name in group.attributes):
            raise InvalidField(f"{field}.groups[{place}].attributes", "names an attribute that the data model does not have")
    if bool(rules.verifying.attribute) != bool(rules.verifying.values):
        raise InvalidField(f"{field}.verifying", "needs both attribute and values, or neither")


def _check_once(names: Sequence[str], field: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidField(field, f"names {twice[0]} twice")


async def put_rules(transaction: Transaction, tenant: Tenant, wanted: SurvivorshipRules, changes: ChangeSet) -> bytes:
    """Have a change set replace the tenant's rules; return the id of their new version.

    Raises:
        InvalidField: the rules do not fit each other or the data model.
    """
    check_rules(wanted, tenant.data_model)
    root = artefact_root(tenant.vault, _RULES)
    await transaction.lock([root])
    former = await transaction.artefact(root)
    return await put_artefact(changes, tenant.vault, _RULES, former, msgspec.json.encode(wanted))
