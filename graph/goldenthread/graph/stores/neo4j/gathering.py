"""Let readers that ask the same question at the same time share one round trip.

A question to Neo4j costs about a millisecond whatever it carries. While one is on its way, others like it wait and then go
together, so eight callers cost little more than one, and a lone caller waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, cast

from goldenthread.graph.errors import GraphError
from goldenthread.graph.stores.neo4j.encoding import Plain

__all__ = ["Ask", "Gatherer", "KeyOf", "Row", "collected"]

Row: TypeAlias = Sequence[Plain]
Ask: TypeAlias = Callable[[str, Mapping[str, Plain]], Awaitable[Sequence[Row]]]
"""Run a query with parameters and get its rows."""

KeyOf: TypeAlias = Callable[[Row], Plain]
"""Tell which of `$keys` a row answers."""

_Group: TypeAlias = tuple[str, tuple[tuple[str, Plain], ...]]

_MANY = 256
"""A question with more keys than this goes alone: it would only delay others."""


async def collected(ask: Ask, query: str, parameters: Mapping[str, Plain]) -> list[Row]:
    """Get what a query collected into one list a branch, of all branches of its UNION."""
    rows = await ask(query, parameters)
    if len(rows) == 1:
        return cast("list[Row]", rows[0][0])
    return [item for row in rows for item in cast("list[Row]", row[0])]


class _Round:
    """Keys that go together, and the answer once it is there."""

    def __init__(self, after: asyncio.Future[dict[Plain, list[Row]]] | None) -> None:
        self.keys: dict[str, None] = {}
        self.after = after
        self.answer: asyncio.Future[dict[Plain, list[Row]]] = asyncio.get_running_loop().create_future()


class Gatherer:
    """Ask for keys, together with whoever asks the same just now."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._open: dict[_Group, _Round] = {}
        self._latest: dict[_Group, asyncio.Future[dict[Plain, list[Row]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, query: str, keys: Sequence[str], key_of: KeyOf, parameters: Mapping[str, Plain]) -> list[Row]:
        """Get the rows that answer these keys; the question leaves after this call, never before."""
        if len(keys) > _MANY:
            return await collected(self._ask, query, {**parameters, "keys": list(keys)})
        group = (query, tuple(sorted(parameters.items())))
        round = self._open.get(group)
        if round is None:
            round = self._open[group] = _Round(self._latest.get(group))
            self._latest[group] = round.answer
            task = asyncio.get_running_loop().create_task(self._run(group, round, key_of))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        round.keys.update(dict.fromkeys(keys))
        # Shielded, because others may wait for the same answer.
        by_key = await asyncio.shield(round.answer)
        return [row for key in keys for row in by_key.get(key, ())]

    async def _run(self, group: _Group, round: _Round, key_of: KeyOf) -> None:
        if round.after is not None:
            await asyncio.wait([round.after])
        del self._open[group]
        query, parameters = group
        by_key: dict[Plain, list[Row]] = defaultdict(list)
        try:
            for row in await collected(self._ask, query, {**dict(parameters), "keys": list(round.keys)}):
                by_key[key_of(row)].append(row)
        except GraphError as error:
            round.answer.set_exception(error)
            round.answer.exception()  # seen: whoever asked may be gone
        else:
            round.answer.set_result(by_key)
        finally:
            if self._latest.get(group) is round.answer:
                del self._latest[group]

    async def drain(self) -> None:
        """Wait until nothing is on its way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
