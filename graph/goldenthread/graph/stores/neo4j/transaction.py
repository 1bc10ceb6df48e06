"""One writing transaction: lock keys and records, read what is newest, take the next revision and apply the changes."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from goldenthread.graph.model import LIVE
from goldenthread.graph.store import ChangeSet, Revision
from goldenthread.graph.stores.neo4j.changes import apply_changes
from goldenthread.graph.stores.neo4j.encoding import Plain, key_prefix
from goldenthread.graph.stores.neo4j.gathering import Ask, Row
from goldenthread.graph.stores.neo4j.migrations import LOCK_STRIPES
from goldenthread.graph.stores.neo4j.reads import Reads

__all__ = ["COMMITTED", "Writing"]

# The last commit by the index, which shows one when all of it can be read; the tenant's own counter may be ahead of it.
_NEWEST = """MATCH (t:Tenant {number: $tenant})
CALL () {
  MATCH (c:Commit) WHERE c.tenant = $tenant AND c.number >= 0
  WITH c ORDER BY c.tenant DESC, c.number DESC LIMIT 1 RETURN max(c.number) AS whole
}
RETURN t.revision, t.at, coalesce(whole, 0)"""

# Removing a property takes the node's write lock even when the node does not have it, and then writes nothing.
_LOCK = f"""UNWIND $stripes AS stripe MATCH (l:Lock {{stripe: stripe}}) REMOVE l.held
WITH count(*) AS locked {_NEWEST}"""

_TAKE_REVISION = """MATCH (t:Tenant {number: $tenant}) REMOVE t.held
WITH t SET t.revision = t.revision + 1, t.at = CASE WHEN t.at > $at THEN t.at ELSE $at END
CREATE (c:Commit {tenant: $tenant, number: t.revision, at: t.at, token: $token}) RETURN c.number, c.at"""

# Waits on the tenant until the transaction in doubt has ended either way.
COMMITTED = """MATCH (t:Tenant {number: $tenant}) REMOVE t.held
WITH t MATCH (c:Commit {tenant: t.number, number: $number, token: $token}) RETURN count(c)"""


def lock_stripes(tenant: int, keys: Iterable[bytes], first: int = 0) -> set[int]:
    """Choose the lock nodes of some keys, among those that begin with `first`."""
    return {first + zlib.crc32(key, tenant) % LOCK_STRIPES for key in keys}


class Writing(Reads):
    """Read what is newest of one tenant, and change it once.

    Every writer takes lock nodes in ascending order, those of keys before those of records, so that only one that finds more
    to lock on the way can be in another's way. It adds what it locks to `stripes`; run again with them, it locks all at once.
    """

    def __init__(self, ask: Ask, tenant: int, at: int, stripes: set[int]) -> None:
        """Use `begin`, which says what is newest."""
        super().__init__(self._read, tenant, Revision(0, 0), LIVE - 1)
        self._send, self._commit_at = ask, at
        self._wanted, self._held = stripes, set[int]()
        self._seen = 0
        self._has_read = False
        self.token = secrets.token_hex(8)
        self.applied: Revision | None = None

    @classmethod
    async def begin(cls, ask: Ask, tenant: int, at: int, stripes: set[int]) -> Writing:
        """Begin, with these locks taken."""
        transaction = cls(ask, tenant, at, stripes)
        transaction._seen = await transaction._take(set(stripes))
        return transaction

    async def lock(self, keys: Sequence[bytes]) -> None:
        """Hold these keys against other writers until the end.

        Raises:
            Conflict: two writers wait for each other; the store runs the work again.
        """
        whole = await self._take(lock_stripes(self._tenant, keys))
        if not self._has_read:
            self._seen = whole

    async def hold(self, records: Sequence[bytes]) -> bool:
        """Hold these records against other writers, and say whether others committed since something was read."""
        stripes = lock_stripes(self._tenant, records, LOCK_STRIPES) - self._held
        if not stripes:
            return False
        seen, self._seen = self._seen, await self._take(stripes)
        self._has_read = False
        # Whoever was faster on these records has ended, so that the counter has theirs.
        return self._revision.number != seen

    async def apply(self, changes: ChangeSet) -> Revision:
        """Apply the changes as the tenant's next revision, which is held to commit."""
        taken: dict[str, Plain] = {"tenant": self._tenant, "at": self._commit_at, "token": self.token}
        rows = await self._send(_TAKE_REVISION, taken)
        revision = Revision(*cast("tuple[int, int]", rows[0]))
        await apply_changes(self._send, key_prefix(self._tenant), revision.number, changes)
        self.applied = revision
        return revision

    async def _read(self, query: str, parameters: Mapping[str, Plain]) -> Sequence[Row]:
        self._has_read = True
        return await self._send(query, parameters)

    async def _take(self, stripes: set[int]) -> int:
        """Lock, see what is newest, and return the last revision of which all can be read."""
        stripes = stripes - self._held
        self._wanted |= stripes
        ordered: list[Plain] = [*sorted(stripes)]
        rows = await self._send(_LOCK if stripes else _NEWEST, {"stripes": ordered, "tenant": self._tenant})
        number, at, whole = cast("tuple[int, int, int]", rows[0])
        self._held |= stripes
        self._revision = Revision(number, at)
        return whole
