"""Read which records are one, from a server and from `link`, so that the two can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goldenthread.client import Client, DataModel, Record
from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.link import link
from goldenthread.resolver.guards import GuardRails
from goldenthread.resolver.scoring import MatchModel

__all__ = ["Key", "Partition", "difference", "linked_partition", "partition_of"]

Key = tuple[str, str]
"""Source and source record id."""

Partition = frozenset[frozenset[Key]]


def partition_of(client: Client) -> Partition:
    """Read the identities of a tenant, each as its records' own ids."""
    keys = {record.name: (record.source, record.source_record_id) for record in client.list_records(page_size=1000)}
    return frozenset(
        frozenset(keys[name] for name in identity.records)
        for identity in client.list_identities(page_size=1000)
        if identity.records
    )


@dataclass(frozen=True)
class _Table:
    columns: dict[str, list[str]]
    rows: int
    source_column: str = "source"
    record_id_column: str = "record id"


def linked_partition(
    records: Sequence[Record], data_model: DataModel, model: MatchModel, guard_rails: GuardRails | None = None
) -> Partition:
    """Link records, of texts with one value an attribute, as `goldenthread link` does with a server's models."""
    types = {one.name: SemanticType(one.type) for one in data_model.attributes}
    columns: dict[str, list[str]] = {name: [] for name in types}
    for record in records:
        assert set(record.attributes) <= set(types)
        for name, column in columns.items():
            value = record.attributes.get(name, "")
            assert isinstance(value, str)
            column.append(value)
    columns["source"] = [record.source for record in records]
    columns["record id"] = [record.source_record_id for record in records]
    # Only guard rails mind when something was observed.
    observed = [record.observed_at for record in records if guard_rails is not None and record.observed_at is not None]
    assert len(observed) in (0, len(records))
    columns["observed"] = [at.isoformat() for at in observed]
    result = link(
        _Table(columns, len(records)),
        dict(types),
        model=model,
        guard_rails=guard_rails,
        default_country=data_model.default_country,
        observed_at="observed" if observed else "",
    )
    groups: dict[int, set[Key]] = defaultdict(set)
    for record, identity in zip(records, result.identities.tolist(), strict=True):
        groups[identity].add((record.source, record.source_record_id))
    return frozenset(map(frozenset, groups.values()))


def difference(left: Iterable[frozenset[Key]], right: Iterable[frozenset[Key]], most: int = 5) -> list[list[list[Key]]]:
    """Show some groups that only one of two partitions has; simulated keys are nobody's personal data."""
    return [
        [sorted(group) for group in sorted(side, key=sorted)[:most]]
        for side in (set(left) - set(right), set(right) - set(left))
    ]
