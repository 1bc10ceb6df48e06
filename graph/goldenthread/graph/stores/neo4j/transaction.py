"""One writing transaction: lock keys, read what is newest, take the next revision and apply the changes."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Sequence
from typing import cast

from goldenthread.graph.model import LIVE
from goldenthread.graph.store import ChangeSet, Revision
from goldenthread.graph.stores.neo4j.changes import apply_changes
from goldenthread.graph.stores.neo4j.encoding import Plain, key_prefix
from goldenthread.graph.stores.neo4j.gathering import Ask
from goldenthread.graph.stores.neo4j.migrations import LOCK_STRIPES
from goldenthread.graph.stores.neo4j.reads import Reads

__all__ = ["COMMITTED", "NEWEST", "Writing"]

# Removing a property takes the node's write lock even when the node does not have it, and then writes nothing.
_LOCK = """UNWIND $stripes AS stripe MATCH (l:Lock {stripe: stripe}) REMOVE l.held
WITH count(*) AS locked MATCH (t:Tenant {number: $tenant}) RETURN t.revision, t.at"""

NEWEST = "MATCH (t:Tenant {number: $tenant}) RETURN t.revision, t.at"

_TAKE_REVISION = """MATCH (t:Tenant {number: $tenant}) REMOVE t.held
WITH t SET t.revision = t.revision + 1, t.at = CASE WHEN t.at > $at THEN t.at ELSE $at END
CREATE (c:Commit {tenant: $tenant, number: t.revision, at: t.at, token: $token}) RETURN c.number, c.at"""

# Waits on the tenant until the transaction in doubt has ended either way.
COMMITTED = """MATCH (t:Tenant {number: $tenant}) REMOVE t.held
WITH t MATCH (c:Commit {tenant: t.number, number: $number, token: $token}) RETURN count(c)"""


def lock_stripes(tenant: int, keys: Iterable[bytes]) -> list[Plain]:
    """Choose the lock nodes of some keys, in the order in which every writer takes them."""
    return [*sorted({zlib.crc32(key, tenant) % LOCK_STRIPES for key in keys})]


class Writing(Reads):
    """Read what is newest of one tenant, and change it once."""

    def __init__(self, ask: Ask, tenant: int, newest: Revision, at: int) -> None:
        super().__init__(ask, tenant, newest, LIVE - 1)
        self._commit_at = at
        self.token = secrets.token_hex(8)
        self.applied: Revision | None = None

    async def lock(self, keys: Sequence[bytes]) -> None:
        """Hold these keys against other writers until the end.

        Raises:
            Conflict: two writers wait for each other; the store runs the work again.
        """
        rows = await self._ask(_LOCK, {"stripes": lock_stripes(self._tenant, keys), "tenant": self._tenant})
        self._revision = Revision(*cast("tuple[int, int]", rows[0]))

    async def apply(self, changes: ChangeSet) -> Revision:
        """Apply the changes as the tenant's next revision, which is held to commit."""
        taken: dict[str, Plain] = {"tenant": self._tenant, "at": self._commit_at, "token": self.token}
        rows = await self._ask(_TAKE_REVISION, taken)
        revision = Revision(*cast("tuple[int, int]", rows[0]))
        await apply_changes(self._ask, key_prefix(self._tenant), revision.number, changes)
        self.applied = revision
        return revision
