"""Lay out the tables, and migrate a file to the layout this program knows.

Nodes have small integer keys of the store's own (`nid`, ascending), so that an edge costs some twenty bytes and new edges
land beside each other. `edge_back` is ordered by profile under a key, so that counting distinct profiles can stop at a limit.
`recorded_to` is NULL while an edge is live, which costs no byte.
"""

from __future__ import annotations

import apsw

from goldenthread.graph.errors import StoreTooNew

__all__ = ["SCHEMA_VERSION", "migrate"]

_MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE tenant (tenant INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL);
    CREATE TABLE revision (
        tenant INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tenant, number)
    ) WITHOUT ROWID;
    CREATE TABLE node (
        nid INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, kind INTEGER NOT NULL, id BLOB NOT NULL,
        recorded_from INTEGER NOT NULL, body BLOB
    );
    CREATE UNIQUE INDEX node_id ON node (tenant, kind, id);
    CREATE TABLE alias (
        tenant INTEGER NOT NULL, kind INTEGER NOT NULL, alias BLOB NOT NULL, nid INTEGER NOT NULL,
        PRIMARY KEY (tenant, kind, alias)
    ) WITHOUT ROWID;
    CREATE INDEX alias_nid ON alias (nid);
    CREATE TABLE edge (
        source INTEGER NOT NULL, kind INTEGER NOT NULL, target INTEGER NOT NULL, recorded_from INTEGER NOT NULL,
        recorded_to INTEGER, weight INTEGER NOT NULL, profile BLOB,
        PRIMARY KEY (source, kind, target, recorded_from)
    ) WITHOUT ROWID;
    CREATE INDEX edge_back ON edge (target, kind, profile, source, recorded_from, recorded_to);
    """,
    # Matches by weight, for the review queue; `recorded_to` is in it, so that what has ended is passed over at once.
    "CREATE INDEX edge_weight ON edge (kind, weight, recorded_to) WHERE kind IN (7, 19)",
)

SCHEMA_VERSION = len(_MIGRATIONS)


def migrate(connection: apsw.Connection) -> None:
    """Bring the file to this program's layout, in one transaction.

    Raises:
        StoreTooNew: a newer program wrote the file.
    """
    found = int(connection.pragma("user_version"))
    if found > SCHEMA_VERSION:
        raise StoreTooNew(found, SCHEMA_VERSION)
    if found == SCHEMA_VERSION:
        return
    with connection:
        for step in _MIGRATIONS[found:]:
            connection.execute(step)
        connection.pragma("user_version", SCHEMA_VERSION)
