"""Hold the text of every read: put together from constants, once, at import; values are always parameters.

`:ids` and their like are arrays bound through `carray`. `CROSS JOIN` fixes the order of joins, which SQLite otherwise guesses.
"""

from __future__ import annotations

from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.schema import STATEFUL
from goldenthread.graph.stores.sqlite.packed import packed

# Live at the asked revision.
_E_AT = "e.recorded_from <= :rev AND (e.recorded_to IS NULL OR e.recorded_to > :rev)"
_STATEFUL = ",".join(str(int(kind)) for kind in sorted(STATEFUL))

_NODES = f"""
SELECT n.kind, n.id, n.body, a.alias, n.recorded_from FROM carray(:ids) c
CROSS JOIN node n ON n.tenant = :tenant AND n.kind IN ({{kinds}}) AND n.id = c.value
LEFT JOIN alias a ON a.nid = n.nid WHERE n.recorded_from <= :rev OR n.kind IN ({_STATEFUL})"""
NODES = packed("ibbbi", _NODES.format(kinds=",".join(str(int(kind)) for kind in NodeKind)))
REQUESTS = packed("ibbbi", _NODES.format(kinds=int(NodeKind.REQUEST)))

_STATE = f"""
SELECT r.id, r.body, a.alias, r.recorded_from, v.id, v.body, v.recorded_from, i.id FROM {{start}}
CROSS JOIN edge e ON e.source = r.nid AND e.kind = {EdgeKind.CURRENT} AND {_E_AT}
CROSS JOIN node v ON v.nid = e.target
LEFT JOIN edge m ON m.source = r.nid AND m.kind = {EdgeKind.RESOLVED_TO}
  AND m.recorded_from <= :rev AND (m.recorded_to IS NULL OR m.recorded_to > :rev)
LEFT JOIN node i ON i.nid = m.target"""
RECORDS = packed(
    "bbbibbib",
    _STATE.format(
        start=f"""carray(:ids) c CROSS JOIN node r ON r.tenant = :tenant AND r.kind = {NodeKind.RECORD} AND r.id = c.value
LEFT JOIN alias a ON a.nid = r.nid"""
    ),
)
RECORDS_BY_ALIAS = packed(
    "bbbibbib",
    _STATE.format(
        start=f"""carray(:ids) c CROSS JOIN alias a ON a.tenant = :tenant AND a.kind = {NodeKind.RECORD} AND a.alias = c.value
CROSS JOIN node r ON r.nid = a.nid"""
    ),
)

CURRENT_VERSIONS = packed(
    "bibbbi",
    f"""
SELECT r.id, v.kind, v.id, v.body, NULL, v.recorded_from FROM carray(:ids) c
CROSS JOIN node r ON r.tenant = :tenant AND r.kind = {NodeKind.RECORD} AND r.id = c.value
CROSS JOIN edge e ON e.source = r.nid AND e.kind = {EdgeKind.CURRENT} AND {_E_AT} CROSS JOIN node v ON v.nid = e.target""",
)

IDENTITIES_OF = packed(
    "bb",
    f"""
SELECT r.id, i.id FROM carray(:ids) c CROSS JOIN node r ON r.tenant = :tenant AND r.kind = {NodeKind.RECORD} AND r.id = c.value
CROSS JOIN edge e ON e.source = r.nid AND e.kind = {EdgeKind.RESOLVED_TO} AND {_E_AT} CROSS JOIN node i ON i.nid = e.target""",
)

VERSIONS = packed(
    "ibbbi",
    f"""
SELECT v.kind, v.id, v.body, NULL, v.recorded_from FROM node r
CROSS JOIN edge e ON e.source = r.nid AND e.kind IN ({EdgeKind.CURRENT}, {EdgeKind.PAST}) AND e.recorded_from <= :rev
CROSS JOIN node v ON v.nid = e.target WHERE r.tenant = :tenant AND r.kind = {NodeKind.RECORD} AND r.id = :id
GROUP BY v.nid""",
)

# Identifier and HAS, Block and IN have the same numbers, so a key's own kind is the kind of its edges.
# What hangs on a key comes as one text, `record,profile,record,profile` in hexadecimal digits.
CANDIDATES = packed(
    "bii",
    f"""
WITH k AS MATERIALIZED (
  SELECT n.nid, n.id, n.kind, (SELECT count(*) FROM (
      SELECT DISTINCT e.profile FROM edge e
      WHERE e.target = n.nid AND e.kind = n.kind AND {_E_AT} LIMIT :limit + 1)) AS profiles
  FROM carray(:ids) c
  CROSS JOIN node n ON n.tenant = :tenant AND n.kind IN ({NodeKind.IDENTIFIER}, {NodeKind.BLOCK}) AND n.id = c.value)
SELECT k.id, k.profiles > :limit, CASE WHEN k.profiles <= :limit THEN (
  SELECT group_concat(hex(r.id) || ',' || hex(e.profile)) FROM edge e CROSS JOIN node r ON r.nid = e.source
  WHERE e.target = k.nid AND e.kind = k.kind AND {_E_AT}) END FROM k""",
)

TIMES = packed(
    "ii",
    """
SELECT r.number, r.at FROM carray(:numbers) c CROSS JOIN revision r ON r.tenant = :tenant AND r.number = c.value""",
)

KEYS_EVER = packed(
    "bi",
    f"""
SELECT k.id, EXISTS (SELECT 1 FROM edge o WHERE o.target = k.nid AND o.kind = k.kind AND o.source <> r.nid) FROM node r
CROSS JOIN edge e ON e.source = r.nid AND e.kind IN ({EdgeKind.HAS}, {EdgeKind.IN}) CROSS JOIN node k ON k.nid = e.target
WHERE r.tenant = :tenant AND r.kind = {NodeKind.RECORD} AND r.id = :id""",
)

EDGES_FROM = packed(
    "bibibii",
    f"""
SELECT s.id, e.kind, t.id, e.weight, e.profile, e.recorded_from, e.recorded_to FROM carray(:ids) c
CROSS JOIN node s ON s.tenant = :tenant AND s.kind = :node_kind AND s.id = c.value
CROSS JOIN edge e ON e.source = s.nid AND e.kind IN (:kind, :kind2) AND {_E_AT} CROSS JOIN node t ON t.nid = e.target""",
)

EDGES_TO = packed(
    "bibibii",
    f"""
SELECT s.id, e.kind, t.id, f.weight, e.profile, e.recorded_from, e.recorded_to FROM carray(:ids) c
CROSS JOIN node t ON t.tenant = :tenant AND t.kind = :node_kind AND t.id = c.value
CROSS JOIN edge e ON e.target = t.nid AND e.kind IN (:kind, :kind2) AND {_E_AT}
CROSS JOIN edge f ON f.source = e.source AND f.kind = e.kind AND f.target = e.target AND f.recorded_from = e.recorded_from
CROSS JOIN node s ON s.nid = e.source""",
)

COMPONENTS = packed(
    "bibibii",
    f"""
WITH RECURSIVE reached (nid) AS (
  SELECT n.nid FROM carray(:ids) c
    CROSS JOIN node n ON n.tenant = :tenant AND n.kind = {NodeKind.RECORD} AND n.id = c.value AND n.recorded_from <= :rev
  UNION
  SELECT e.target FROM reached x CROSS JOIN edge e ON e.source = x.nid
    WHERE e.kind = :matches AND e.weight >= :weight AND {_E_AT}
  UNION
  SELECT f.source FROM reached x CROSS JOIN edge e ON e.target = x.nid AND e.kind = :matches AND {_E_AT}
    CROSS JOIN edge f ON f.source = e.source AND f.kind = e.kind AND f.target = e.target
      AND f.recorded_from = e.recorded_from AND f.weight >= :weight
  UNION
  SELECT b.source FROM reached x CROSS JOIN edge e ON e.source = x.nid AND e.kind = {EdgeKind.MUST_LINK} AND {_E_AT}
    CROSS JOIN edge b ON b.target = e.target AND b.kind = {EdgeKind.MUST_LINK}
      AND b.recorded_from <= :rev AND (b.recorded_to IS NULL OR b.recorded_to > :rev))
SELECT s.id, e.kind, t.id, e.weight, e.profile, e.recorded_from, e.recorded_to FROM reached x
CROSS JOIN node s ON s.nid = x.nid
LEFT JOIN edge e ON e.source = x.nid
  AND e.kind IN (:matches, {EdgeKind.MUST_LINK}, {EdgeKind.CANNOT_LINK}, {EdgeKind.BINDS}, {EdgeKind.DISPUTED})
  AND {_E_AT}
LEFT JOIN node t ON t.nid = e.target""",
)

_JOINED = f"{EdgeKind.RESOLVED_TO}, {EdgeKind.MUST_LINK}, {EdgeKind.DISPUTED}"
OUTLINES = packed(
    "bbbibiii",
    f"""
WITH RECURSIVE reached (nid) AS (
  SELECT n.nid FROM carray(:ids) c
    CROSS JOIN node n ON n.tenant = :tenant AND n.kind = {NodeKind.RECORD} AND n.id = c.value AND n.recorded_from <= :rev
  UNION
  SELECT e.target FROM reached x CROSS JOIN edge e ON e.source = x.nid WHERE e.kind IN ({_JOINED}) AND {_E_AT}
  UNION
  SELECT e.source FROM reached x CROSS JOIN edge e ON e.target = x.nid WHERE e.kind IN ({_JOINED}) AND {_E_AT})
SELECT r.id, v.id, i.id, e.kind, t.id, e.weight, e.recorded_from, e.recorded_to FROM reached x
CROSS JOIN node r ON r.nid = x.nid AND r.kind = {NodeKind.RECORD}
LEFT JOIN edge w ON w.source = r.nid AND w.kind = {EdgeKind.CURRENT}
  AND w.recorded_from <= :rev AND (w.recorded_to IS NULL OR w.recorded_to > :rev)
LEFT JOIN node v ON v.nid = w.target
LEFT JOIN edge m ON m.source = r.nid AND m.kind = {EdgeKind.RESOLVED_TO}
  AND m.recorded_from <= :rev AND (m.recorded_to IS NULL OR m.recorded_to > :rev)
LEFT JOIN node i ON i.nid = m.target
LEFT JOIN edge e ON e.source = r.nid
  AND e.kind IN ({EdgeKind.MUST_LINK}, {EdgeKind.CANNOT_LINK}, {EdgeKind.BINDS}, {EdgeKind.DISPUTED}) AND {_E_AT}
LEFT JOIN node t ON t.nid = e.target""",
)

LINKS = packed(
    "bibibii",
    f"""
SELECT s.id, e.kind, t.id, e.weight, e.profile, e.recorded_from, e.recorded_to FROM carray(:ids) c
CROSS JOIN node s ON s.tenant = :tenant AND s.kind = {NodeKind.RECORD} AND s.id = c.value
CROSS JOIN edge e ON e.source = s.nid AND e.kind = :kind AND e.weight >= :weight AND {_E_AT}
CROSS JOIN node t ON t.nid = e.target""",
)

_SAME = f"""EXISTS (SELECT 1 FROM edge l
    CROSS JOIN edge m ON m.source = e.target AND m.kind = l.kind AND m.target = l.target
      AND m.recorded_from <= :rev AND (m.recorded_to IS NULL OR m.recorded_to > :rev)
    WHERE l.source = e.source AND l.kind = {EdgeKind.RESOLVED_TO}
      AND l.recorded_from <= :rev AND (l.recorded_to IS NULL OR l.recorded_to > :rev))"""
# The first of the two conditions on the kind is that of the index `edge_weight`, which SQLite wants to see word for word.
BAND = {
    (kind, heaviest_first): packed(
        "bibibii",
        f"""
SELECT s.id, e.kind, t.id, e.weight, e.profile, e.recorded_from, e.recorded_to FROM edge e
CROSS JOIN node s ON s.nid = e.source AND s.tenant = :tenant CROSS JOIN node t ON t.nid = e.target
WHERE e.kind IN (7, 19) AND e.kind = {int(kind)} AND e.weight >= :low AND e.weight < :high AND {_E_AT}
  AND (:together IS NULL OR {_SAME} = :together)
ORDER BY e.weight{" DESC" if heaviest_first else ""}, s.id, t.id LIMIT :limit""",
    )
    for kind in (EdgeKind.MATCHES, EdgeKind.DISPUTED)
    for heaviest_first in (False, True)
}

_IDENTITIES = f"""
SELECT n.id, n.recorded_from, e.kind, e.recorded_from, e.recorded_to, o.id FROM carray(:ids) c
CROSS JOIN node n ON n.tenant = :tenant AND n.kind = {NodeKind.IDENTITY} AND n.id = c.value
LEFT JOIN edge e ON e.{{near}} = n.nid AND e.kind IN ({{kinds}}) LEFT JOIN node o ON o.nid = e.{{other}}
WHERE n.recorded_from <= :rev"""
IDENTITY_RECORDS = packed("biiiib", _IDENTITIES.format(near="target", other="source", kinds=int(EdgeKind.RESOLVED_TO)))
IDENTITY_OUT = packed(
    "biiiib",
    _IDENTITIES.format(
        near="source",
        other="target",
        kinds=f"{EdgeKind.MEMBER_OF}, {EdgeKind.SUPERSEDED_BY}, {EdgeKind.CUT}",
    ),
)

IDENTITIES_WITH = packed(
    "bb",
    f"""
SELECT k.id, i.id FROM carray(:ids) c
CROSS JOIN node k ON k.tenant = :tenant AND k.kind = {NodeKind.IDENTIFIER} AND k.id = c.value
CROSS JOIN edge e ON e.target = k.nid AND e.kind = {EdgeKind.HAS} AND {_E_AT}
CROSS JOIN edge m ON m.source = e.source AND m.kind = {EdgeKind.RESOLVED_TO}
  AND m.recorded_from <= :rev AND (m.recorded_to IS NULL OR m.recorded_to > :rev)
CROSS JOIN node i ON i.nid = m.target GROUP BY k.id, i.id""",
)

HOUSEHOLDS_OF = packed(
    "bb",
    f"""
SELECT i.id, h.id FROM carray(:ids) c
CROSS JOIN node i ON i.tenant = :tenant AND i.kind = {NodeKind.IDENTITY} AND i.id = c.value
CROSS JOIN edge e ON e.source = i.nid AND e.kind = {EdgeKind.MEMBER_OF} AND {_E_AT}
CROSS JOIN node h ON h.nid = e.target""",
)

HOUSEHOLDS = packed(
    "bbib",
    f"""
SELECT h.id, h.body, h.recorded_from, i.id FROM carray(:ids) c
CROSS JOIN node h ON h.tenant = :tenant AND h.kind = {NodeKind.HOUSEHOLD} AND h.id = c.value
CROSS JOIN edge e ON e.target = h.nid AND e.kind = {EdgeKind.MEMBER_OF} AND {_E_AT}
CROSS JOIN node i ON i.nid = e.source""",
)

_ABOUT = f"""
SELECT r.id, n.kind, n.id, n.body, NULL, n.recorded_from FROM carray(:ids) c
CROSS JOIN node r ON r.tenant = :tenant AND r.kind = {NodeKind.RECORD} AND r.id = c.value
CROSS JOIN edge e ON e.{{near}} = r.nid AND e.kind IN ({{kinds}}) AND {_E_AT}
CROSS JOIN node n ON n.nid = e.{{far}}"""
CONSENTS = packed("bibbbi", _ABOUT.format(near="target", far="source", kinds=int(EdgeKind.ABOUT)))
DECISIONS = packed(
    "bibbbi",
    _ABOUT.format(near="source", far="target", kinds=f"{EdgeKind.MUST_LINK}, {EdgeKind.CANNOT_LINK}, {EdgeKind.BINDS}"),
)
LABELS = packed("bibbbi", _ABOUT.format(near="source", far="target", kinds=int(EdgeKind.LABELLED)))

_HISTORY = """
SELECT s.id, e.kind, t.id, e.weight, e.profile, e.recorded_from, e.recorded_to FROM carray(:ids) c
CROSS JOIN node n ON n.tenant = :tenant AND n.kind IN (SELECT value FROM carray(:ends)) AND n.id = c.value
CROSS JOIN edge e ON e.{near} = n.nid AND e.kind IN (SELECT value FROM carray(:kinds)) AND e.recorded_from <= :rev
CROSS JOIN node s ON s.nid = e.source CROSS JOIN node t ON t.nid = e.target"""
HISTORY_OUT = _HISTORY.format(near="source")
HISTORY_IN = _HISTORY.format(near="target")

ARTEFACT = f"""
SELECT v.kind, v.id, v.body, NULL, v.recorded_from FROM node n
CROSS JOIN edge e ON e.source = n.nid AND e.kind = {EdgeKind.CURRENT} AND {_E_AT} CROSS JOIN node v ON v.nid = e.target
WHERE n.tenant = :tenant AND n.kind = {NodeKind.ARTEFACT} AND n.id = :id"""

PAGE_RECORDS = f"""
SELECT n.id, v.body, n.body FROM node n
CROSS JOIN edge e ON e.source = n.nid AND e.kind = {EdgeKind.CURRENT} AND {_E_AT} CROSS JOIN node v ON v.nid = e.target
WHERE n.tenant = :tenant AND n.kind = {NodeKind.RECORD} AND n.id > :after ORDER BY n.id"""
PAGE_MEMBERS = f"""
SELECT n.id, (SELECT count(*) FROM edge e WHERE e.target = n.nid AND e.kind = :edge_kind AND {_E_AT}) AS members FROM node n
WHERE n.tenant = :tenant AND n.kind = :kind AND n.id > :after AND n.recorded_from <= :rev AND members >= :least
ORDER BY n.id LIMIT :limit"""
PAGE = f"""
SELECT n.id FROM node n WHERE n.tenant = :tenant AND n.kind = :kind AND n.id > :after
AND (n.recorded_from <= :rev OR n.kind IN ({_STATEFUL})) ORDER BY n.id LIMIT :limit"""
PAGE_BODIES = f"""
SELECT n.id, n.body FROM node n WHERE n.tenant = :tenant AND n.kind = :kind AND n.id > :after
AND (n.recorded_from <= :rev OR n.kind IN ({_STATEFUL})) ORDER BY n.id"""

TENANTS = """
SELECT t.name FROM tenant t WHERE EXISTS (SELECT 1 FROM node n WHERE n.tenant = t.tenant AND n.kind = ?) ORDER BY t.name"""

EVENTS = f"""
SELECT n.kind, n.id, n.body, NULL, n.recorded_from FROM node n WHERE n.tenant = :tenant AND n.kind = {NodeKind.EVENTS}
AND n.id > :after AND n.id <= :until ORDER BY n.id LIMIT :limit"""

COUNT_NODES = "SELECT kind, count(*) FROM node WHERE tenant = :tenant AND recorded_from <= :rev GROUP BY kind"
COUNT_MEMBERS = f"""
SELECT count(*) FROM node n WHERE n.tenant = :tenant AND n.kind = :kind
AND EXISTS (SELECT 1 FROM edge e WHERE e.target = n.nid AND e.kind = :edge_kind AND {_E_AT})"""
COUNT_RECORDS = f"""
SELECT count(*) FROM node n WHERE n.tenant = :tenant AND n.kind = {NodeKind.RECORD}
AND EXISTS (SELECT 1 FROM edge e WHERE e.source = n.nid AND e.kind = {EdgeKind.RESOLVED_TO} AND {_E_AT})"""

NID = f"""
SELECT n.nid, n.id FROM carray(:ids) c
CROSS JOIN node n ON n.tenant = :tenant AND n.kind IN ({",".join(str(int(kind)) for kind in NodeKind)}) AND n.id = c.value
WHERE n.recorded_from <= :rev"""
STEP = f"""
SELECT c.value, o.nid FROM carray(:ids) c CROSS JOIN edge e ON e.source = c.value AND {_E_AT}
CROSS JOIN node o ON o.nid = e.target WHERE o.kind IN (SELECT value FROM carray(:kinds))
UNION
SELECT c.value, o.nid FROM carray(:ids) c CROSS JOIN edge e ON e.target = c.value AND {_E_AT}
CROSS JOIN node o ON o.nid = e.source WHERE o.kind IN (SELECT value FROM carray(:kinds)) LIMIT :limit"""
NODES_BY_NID = """
SELECT n.nid, n.kind, n.id, n.body, a.alias, n.recorded_from FROM carray(:ids) c CROSS JOIN node n ON n.nid = c.value
LEFT JOIN alias a ON a.nid = n.nid"""
EDGES_AMONG = f"""
SELECT s.id, e.kind, t.id, e.weight, e.profile, e.recorded_from, e.recorded_to FROM carray(:ids) c
CROSS JOIN edge e ON e.source = c.value AND {_E_AT} AND e.target IN (SELECT value FROM carray(:ids))
CROSS JOIN node s ON s.nid = e.source CROSS JOIN node t ON t.nid = e.target"""
