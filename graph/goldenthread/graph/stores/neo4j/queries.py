"""Ask each question of a Reader in Cypher, in one round trip.

Every text is a constant; values travel as parameters: `$keys` of nodes, `$revision` that is read, `$tenant`'s number.
An answer is one row of nested lists for each branch of a UNION.
"""

from __future__ import annotations

from functools import cache

from goldenthread.graph.model import EdgeKind, NodeKind
from goldenthread.graph.schema import EDGE_ENDS, STATEFUL
from goldenthread.graph.stores.neo4j.encoding import LABELS, PREFIX_DIGITS, columns

__all__ = [
    "ARTEFACT",
    "BAND",
    "BINDINGS",
    "CANDIDATES",
    "CHECK",
    "COMMIT_TIMES",
    "COMPONENT_STEP",
    "CONSENTS",
    "COUNTS",
    "CURRENT_VERSIONS",
    "DECISIONS",
    "EDGES_AMONG",
    "EVENTS",
    "HOUSEHOLDS",
    "HOUSEHOLDS_OF",
    "IDENTITIES",
    "IDENTITIES_WITH",
    "KEYS",
    "KEYS_EVER",
    "LABELS_OF",
    "LATEST",
    "LINKS",
    "MATCHES",
    "NODES",
    "OUTLINE_STEP",
    "PAGE",
    "PAGE_OF_SOURCE",
    "PAGE_WHERE",
    "PATH_STEP",
    "RECORDS",
    "RECORDS_BY_ALIAS",
    "REQUESTS",
    "REVISION",
    "REVISION_AT",
    "START_NODES",
    "SUBGRAPH_NODES",
    "TENANT",
    "TENANTS",
    "TENANTS_HAVING",
    "VERSIONS",
    "WALK_STEP",
    "history",
]


def _live(edge: str) -> str:
    """Say that an edge holds at the revision."""
    return f"{edge}.recorded_from <= $revision AND ({edge}.recorded_to IS NULL OR {edge}.recorded_to > $revision)"


_STAMPS = "e.recorded_from, e.recorded_to"

CHECK = "RETURN 1"
TENANTS_HAVING = {
    kind: f"MATCH (n:{label}) RETURN collect(DISTINCT left(n.key, {PREFIX_DIGITS}))" for kind, label in LABELS.items()
}
TENANTS = "MATCH (t:Tenant) WHERE t.number IN $numbers RETURN collect(t.name)"
TENANT = "MATCH (t:Tenant {name: $name}) RETURN t.number"

# By the index of commits and not by the tenant's own counter: an index shows a commit when all of it can be read.
LATEST = """MATCH (c:Commit) WHERE c.tenant = $tenant AND c.number >= 0
WITH c ORDER BY c.tenant DESC, c.number DESC LIMIT 1
RETURN collect([$keys[0], c.number, c.at])"""
REVISION = "MATCH (c:Commit {tenant: $tenant, number: $revision}) RETURN c.number, c.at"
COMMIT_TIMES = """UNWIND $numbers AS number MATCH (c:Commit {tenant: $tenant, number: number})
RETURN collect([c.number, c.at])"""
REVISION_AT = """MATCH (c:Commit) WHERE c.tenant = $tenant AND c.number <= $revision
WITH c ORDER BY c.tenant DESC, c.number DESC WHERE c.at <= $at RETURN c.number, c.at LIMIT 1"""

_ANY = "|".join(LABELS.values())
_KNOWN = f"(n.recorded_from <= $revision OR n:{'|'.join(LABELS[kind] for kind in sorted(STATEFUL))})"
NODES = f"""MATCH (n:{_ANY}) WHERE n.key IN $keys AND {_KNOWN}
RETURN collect([labels(n)[0], properties(n)])"""

_STATE = f"""
MATCH (r)-[e:CURRENT]->(v:RecordVersion) WHERE {_live("e")}
OPTIONAL MATCH (r)-[m:RESOLVED_TO]->(i:Identity) WHERE {_live("m")}
RETURN collect([{columns("r", NodeKind.RECORD)}, {columns("v", NodeKind.RECORD_VERSION)}, i.key])"""
RECORDS = f"UNWIND $keys AS key MATCH (r:Record {{key: key}}){_STATE}"
RECORDS_BY_ALIAS = f"UNWIND $keys AS key MATCH (r:Record {{alias: key}}){_STATE}"

CURRENT_VERSIONS = f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})-[e:CURRENT]->(v:RecordVersion) WHERE {_live("e")}
RETURN collect([r.key, {columns("v", NodeKind.RECORD_VERSION)}])"""
VERSIONS = f"""MATCH (r:Record {{key: $key}})-[e:CURRENT|PAST]->(v:RecordVersion) WHERE e.recorded_from <= $revision
WITH DISTINCT v RETURN collect({columns("v", NodeKind.RECORD_VERSION)})"""


def _postings(label: str, edge: str) -> str:
    # LIMIT stops the first walk at the profile too many; only keys below the limit are walked again, for their records.
    return f"""UNWIND $keys AS key MATCH (k:{label} {{key: key}})
CALL (k) {{
  MATCH (k)<-[e:{edge}]-() WHERE {_live("e")}
  WITH DISTINCT e.profile AS profile LIMIT $limit + 1 RETURN count(*) AS profiles
}}
CALL (k, profiles) {{
  WITH k, profiles WHERE profiles <= $limit
  MATCH (k)<-[e:{edge}]-(r) WHERE {_live("e")} RETURN collect([r.key, e.profile]) AS records
}}
WITH key, profiles, records WHERE profiles > 0 RETURN collect([key, profiles, records]) AS postings"""


CANDIDATES = f"{_postings('Identifier', 'HAS')}\nUNION ALL\n{_postings('Block', 'IN')}"

KEYS = f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})
RETURN collect([key, [(r)-[e:HAS|IN]->(k) WHERE {_live("e")} | [type(e), k.key, e.profile, {_STAMPS}]]])"""

KEYS_EVER = """MATCH (r:Record {key: $key})-[:HAS|IN]->(k) WITH DISTINCT r, k
RETURN collect([k.key, EXISTS { MATCH (k)<-[:HAS|IN]-(o) WHERE o <> r }])"""


def _matches(kind: EdgeKind) -> str:
    return f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})
RETURN collect([key, [(r)-[e:{kind.name}]->(o) WHERE {_live("e")} | [o.key, e.weight, {_STAMPS}]],
  [(r)<-[e:{kind.name}]-(o) WHERE {_live("e")} | [o.key, e.weight, {_STAMPS}]]])"""


# Reads the records, those a match away from them, and the edges of both: two steps outwards in one round trip.
def _component_step(kind: EdgeKind) -> str:
    return f"""CALL () {{
  UNWIND $keys AS key MATCH (r:Record {{key: key}}) WHERE r.recorded_from <= $revision RETURN r
  UNION
  UNWIND $decisions AS key MATCH (:Decision {{key: key}})<-[e:MUST_LINK]-(r:Record) WHERE {_live("e")} RETURN r
}}
OPTIONAL MATCH (r)-[e:{kind.name}]-(o:Record) WHERE e.weight >= $min_weight AND {_live("e")}
WITH collect(r) + collect(o) AS near UNWIND near AS r
WITH DISTINCT r
OPTIONAL MATCH (r)-[e:{kind.name}|MUST_LINK|CANNOT_LINK|BINDS|DISPUTED]-(o)
  WHERE {_live("e")} AND (NOT e:{kind.name} OR e.weight >= $min_weight)
WITH r, collect(CASE WHEN e IS NOT NULL THEN [type(e), startNode(e) = r, o.key, e.weight, {_STAMPS}] END) AS edges
RETURN collect([r.key, edges])"""


MATCHES = {kind: _matches(kind) for kind in (EdgeKind.MATCHES, EdgeKind.STAGED, EdgeKind.DISPUTED)}
COMPONENT_STEP = {kind: _component_step(kind) for kind in (EdgeKind.MATCHES, EdgeKind.STAGED)}

# Reads whole identities: of the records, and of what must-link decisions bind.
OUTLINE_STEP = f"""CALL () {{
  UNWIND $keys AS key MATCH (r:Record {{key: key}}) WHERE r.recorded_from <= $revision RETURN r
  UNION
  UNWIND $decisions AS key MATCH (:Decision {{key: key}})<-[e:MUST_LINK]-(r:Record) WHERE {_live("e")} RETURN r
}}
OPTIONAL MATCH (r)-[e:RESOLVED_TO]->(i:Identity) WHERE {_live("e")}
WITH DISTINCT i, CASE WHEN i IS NULL THEN r END AS alone
CALL (i, alone) {{
  WITH i, alone WHERE i IS NULL RETURN alone AS r
  UNION ALL
  MATCH (i)<-[e:RESOLVED_TO]-(r:Record) WHERE {_live("e")} RETURN r
}}
OPTIONAL MATCH (r)-[c:CURRENT]->(v:RecordVersion) WHERE {_live("c")}
RETURN collect([r.key, v.key, i.key, [(r)-[e:MUST_LINK|CANNOT_LINK|BINDS|DISPUTED]-(o) WHERE {_live("e")} |
  [type(e), startNode(e) = r, o.key, e.weight, {_STAMPS}]]])"""


def _links(kind: EdgeKind) -> str:
    return f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})-[e:{kind.name}]->(o)
WHERE e.weight >= $min_weight AND {_live("e")} RETURN collect([key, o.key, e.weight, {_STAMPS}])"""


LINKS = {kind: _links(kind) for kind in (EdgeKind.MATCHES, EdgeKind.STAGED)}

_TOGETHER = f"""EXISTS {{
  MATCH (a)-[l:RESOLVED_TO]->(:Identity)<-[m:RESOLVED_TO]-(b) WHERE {_live("l")} AND {_live("m")} }}"""


def _band(kind: EdgeKind, heaviest_first: bool) -> str:
    return f"""MATCH (a:Record)-[e:{kind.name}]->(b:Record)
WHERE e.weight >= $low AND e.weight < $high AND {_live("e")} AND a.key > $after AND a.key < $end
  AND ($together IS NULL OR {_TOGETHER} = $together)
WITH a, e, b ORDER BY e.weight{" DESC" if heaviest_first else ""}, a.key, b.key LIMIT $limit
RETURN collect([a.key, b.key, e.weight, {_STAMPS}])"""


BAND = {
    (kind, heaviest_first): _band(kind, heaviest_first)
    for kind in (EdgeKind.MATCHES, EdgeKind.DISPUTED)
    for heaviest_first in (False, True)
}

BINDINGS = f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})-[e:MUST_LINK|CANNOT_LINK]->(d:Decision) WHERE {_live("e")}
RETURN collect([key, type(e), d.key, e.weight, {_STAMPS}])"""

LABELS_OF = f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})-[e:LABELLED]->(l:Label) WHERE {_live("e")}
WITH DISTINCT l RETURN collect({columns("l", NodeKind.LABEL)})"""

IDENTITIES = f"""UNWIND $keys AS key MATCH (i:Identity {{key: key}}) WHERE i.recorded_from <= $revision
WITH i, [(i)<-[e:RESOLVED_TO]-(r) WHERE e.recorded_from <= $revision |
    [r.key, CASE WHEN e.recorded_to <= $revision THEN null ELSE 1 END,
     CASE WHEN e.recorded_to <= $revision THEN e.recorded_to ELSE e.recorded_from END]] AS members,
  [(i)-[e:MEMBER_OF]->(h) WHERE {_live("e")} | h.key] AS households,
  [(i)-[e:SUPERSEDED_BY]->(s) WHERE {_live("e")} | s.key] AS successors,
  [(i)-[e:CUT]->() | e.recorded_from] AS cuts
WITH i, [m IN members WHERE m[1] = 1 | m[0]] AS records, households, successors,
  any(cut IN cuts WHERE cut > $revision) AS was_cut,
  reduce(last = i.recorded_from, at IN [m IN members | m[2]] + [cut IN cuts WHERE cut <= $revision] |
    CASE WHEN at > last THEN at ELSE last END) AS changed
MATCH (c:Commit {{tenant: $tenant, number: changed}})
RETURN collect([i.key, records, households, successors, c.number, c.at, was_cut])"""

IDENTITIES_OF = f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})-[e:RESOLVED_TO]->(i:Identity) WHERE {_live("e")}
RETURN collect([key, i.key])"""

IDENTITIES_WITH = f"""UNWIND $keys AS key MATCH (k:Identifier {{key: key}})<-[e:HAS]-(r:Record) WHERE {_live("e")}
MATCH (r)-[m:RESOLVED_TO]->(i:Identity) WHERE {_live("m")}
WITH key, collect(DISTINCT i.key) AS identities RETURN collect([key, identities])"""

HOUSEHOLDS_OF = f"""UNWIND $keys AS key MATCH (i:Identity {{key: key}})-[e:MEMBER_OF]->(h:Household) WHERE {_live("e")}
RETURN collect([key, h.key])"""

HOUSEHOLDS = f"""UNWIND $keys AS key MATCH (h:Household {{key: key}})<-[e:MEMBER_OF]-(i:Identity) WHERE {_live("e")}
WITH h, collect(i.key) AS members RETURN collect([{columns("h", NodeKind.HOUSEHOLD)}, members])"""

CONSENTS = f"""UNWIND $keys AS key MATCH (r:Record {{key: key}})<-[e:ABOUT]-(c:Consent) WHERE {_live("e")}
RETURN collect([key, {columns("c", NodeKind.CONSENT)}])"""

DECISIONS = f"""UNWIND $keys AS key
MATCH (r:Record {{key: key}})-[e:MUST_LINK|CANNOT_LINK|BINDS]->(d:Decision) WHERE {_live("e")}
WITH DISTINCT d RETURN collect({columns("d", NodeKind.DECISION)})"""


@cache
def history(kinds: frozenset[EdgeKind]) -> str:
    """Ask for every edge of some kinds, live or ended, from nodes of the kinds that such edges join."""
    ends = {end for kind in kinds for side in EDGE_ENDS[kind] for end in side}
    return f"""MATCH (n:{"|".join(LABELS[end] for end in sorted(ends))}) WHERE n.key IN $keys
MATCH (n)-[e:{"|".join(kind.name for kind in sorted(kinds))}]-() WHERE e.recorded_from <= $revision
WITH DISTINCT e RETURN collect([type(e), startNode(e).key, endNode(e).key, e.weight, e.profile, e.recorded_from,
  CASE WHEN e.recorded_to <= $revision THEN e.recorded_to END])"""


REQUESTS = f"""UNWIND $keys AS key MATCH (q:Request {{key: key}}) WHERE q.recorded_from <= $revision
RETURN collect({columns("q", NodeKind.REQUEST)})"""

ARTEFACT = f"""MATCH (root:Artefact {{key: $key}})-[e:CURRENT]->(a:Artefact) WHERE {_live("e")}
RETURN collect({columns("a", NodeKind.ARTEFACT)})"""


def _members(edge: EdgeKind, variable: str) -> str:
    return f"COUNT {{ ({variable})<-[e:{edge.name}]-() WHERE {_live('e')} }}"


def _page(kind: NodeKind, condition: str) -> str:
    known = "" if kind in STATEFUL else " AND n.recorded_from <= $revision"
    return f"""MATCH (n:{LABELS[kind]}) WHERE n.key > $after AND n.key < $end{known}{condition}
WITH n ORDER BY n.key LIMIT $limit RETURN collect(n.key)"""


_STANDING = f""" AND EXISTS {{ (n)-[e:CURRENT]->(v) WHERE v.tombstone = 0 AND {_live("e")} }}"""
_CONDITIONS = {
    NodeKind.RECORD: _STANDING,
    NodeKind.IDENTITY: f" AND {_members(EdgeKind.RESOLVED_TO, 'n')} >= $least",
    NodeKind.HOUSEHOLD: f" AND {_members(EdgeKind.MEMBER_OF, 'n')} >= $least",
}
PAGE: dict[NodeKind, str] = {kind: _page(kind, _CONDITIONS.get(kind, "")) for kind in NodeKind}
PAGE_WHERE: dict[NodeKind, str] = {
    kind: _page(kind, " AND all(name IN keys($where) WHERE n[name] = $where[name])")
    for kind in NodeKind
    if kind not in _CONDITIONS
}
PAGE_OF_SOURCE = _page(NodeKind.RECORD, f" AND n.source = $source{_STANDING}")

EVENTS = f"""MATCH (n:Events) WHERE n.key > $after AND n.key <= $until
WITH n ORDER BY n.key LIMIT $limit RETURN collect({columns("n", NodeKind.EVENTS)})"""

# A record has an identity exactly while it is no tombstone.
_COUNTED = {
    NodeKind.RECORD: f" AND EXISTS {{ (n)-[e:RESOLVED_TO]->() WHERE {_live('e')} }}",
    NodeKind.IDENTITY: f" AND EXISTS {{ (n)<-[e:RESOLVED_TO]-() WHERE {_live('e')} }}",
    NodeKind.HOUSEHOLD: f" AND EXISTS {{ (n)<-[e:MEMBER_OF]-() WHERE {_live('e')} }}",
}
COUNTS = "\nUNION ALL\n".join(
    f"MATCH (n:{label}) WHERE n.key > $after AND n.key < $end AND n.recorded_from <= $revision{_COUNTED.get(kind, '')}\n"
    f"RETURN [{int(kind)}, count(*)] AS counted"
    for kind, label in LABELS.items()
)

# Walks know the kind of each node they stand on, so each key is looked up once: `$SOURCE`, `$RECORD` … hold keys by kind.
_FRONTIER = "\n  UNION ALL\n".join(
    f"  UNWIND ${kind.name} AS key MATCH (n:{label} {{key: key}}) RETURN n" for kind, label in LABELS.items()
)
_AROUND = f"MATCH (n)-[e]-(o) WHERE {_live('e')} AND labels(o)[0] IN $labels AND NOT o.key IN $known"

START_NODES = f"""MATCH (n:{_ANY}) WHERE n.key IN $keys AND n.recorded_from <= $revision
RETURN collect([labels(n)[0], n.key])"""
WALK_STEP = f"""CALL () {{
{_FRONTIER}
}}
{_AROUND}
WITH DISTINCT o LIMIT $limit RETURN collect([labels(o)[0], o.key])"""
PATH_STEP = f"""CALL () {{
{_FRONTIER}
}}
{_AROUND}
WITH o, min(n.key) AS origin LIMIT $limit RETURN collect([labels(o)[0], o.key, origin])"""
SUBGRAPH_NODES = f"""CALL () {{
{_FRONTIER}
}}
RETURN collect([labels(n)[0], properties(n)])"""
# Out of each node, because what goes in may be a hundred thousand records of one source.
EDGES_AMONG = f"""CALL () {{
{_FRONTIER}
}}
MATCH (n)-[e]->(o) WHERE {_live("e")} AND o.key IN $known
RETURN collect([type(e), n.key, o.key, e.weight, e.profile, {_STAMPS}])"""
