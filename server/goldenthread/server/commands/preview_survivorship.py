"""Say what other survivorship rules would do, before they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from goldenthread.graph.model import AttributeValue, NodeKind
from goldenthread.graph.store import Reader
from goldenthread.resolver.golden import SurvivorshipRules
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.golden_record import Golden, golden_records, golden_view
from goldenthread.server.commands.ids import timed_id
from goldenthread.server.commands.survivorship import check_rules
from goldenthread.server.commands.tenants import Tenant

__all__ = ["Effect", "preview_rules"]

_POINTS = 20
_PAGE = 250


class Effect(Struct, frozen=True):
    """How many golden records of a sample would change, and in which attributes."""

    sampled: int
    changed: int
    by_attribute: Mapping[str, int]
    revision: int


async def preview_rules(engine: Engine, tenant: Tenant, wanted: SurvivorshipRules, sample: int) -> Effect:
    """Compute golden records of a sample of identities under the rules that hold and those wanted, and compare.

    Raises:
        InvalidField: the rules do not fit each other or the data model.
    """
    check_rules(wanted, tenant.data_model)
    by_attribute: Counter[str] = Counter()
    changed = 0
    async with engine.reader(tenant) as reader:
        before = await golden_view(reader, tenant, None, "")
        after = msgspec.structs.replace(before, rules=wanted)
        ids = await _sample(reader, sample, before.at)
        for start in range(0, len(ids), _PAGE):
            stored = list((await reader.identities(ids[start : start + _PAGE])).values())
            olds = await golden_records(reader, tenant, before, stored)
            news = await golden_records(reader, tenant, after, stored)
            for old, new in zip(map(_values, olds), map(_values, news), strict=True):
                differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
                by_attribute.update(differing)
                changed += bool(differing)
        revision = reader.revision.number
    return Effect(len(ids), changed, dict(sorted(by_attribute.items())), revision)


def _values(golden: Golden) -> dict[str, list[AttributeValue]]:
    return {one.attribute: [value.value for value in one.values] for one in golden.attributes}


async def _sample(reader: Reader, wanted: int, at: int) -> list[bytes]:
    """Take identities from all times, a few after each of some moments, then the oldest until there are enough."""
    where = {"min_records": 1}
    first = await reader.page(NodeKind.IDENTITY, b"", 1, where)
    if not first:
        return []
    born = int.from_bytes(first[0][:6], "big") * 1_000
    found: dict[bytes, None] = {}
    for point in range(_POINTS):
        after = timed_id(born + (at - born) * point // _POINTS, bytes(10))
        found.update(dict.fromkeys(await reader.page(NodeKind.IDENTITY, after, -(-wanted // _POINTS), where)))
    last = b""
    while len(found) < wanted:
        page = await reader.page(NodeKind.IDENTITY, last, _PAGE, where)
        if not page:
            break
        found.update(dict.fromkeys(page))
        last = page[-1]
    return list(found)[:wanted]
