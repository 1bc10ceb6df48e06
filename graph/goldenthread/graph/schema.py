"""Say which properties each kind of node has, in order, and which kinds each edge joins.

Stores encode by this table, so a property that is not here cannot be stored; none of them may hold a personal value in the
clear. `sealed` is ciphertext under a data key whose id is the node's id.
"""

from __future__ import annotations

from goldenthread.graph.model import EdgeKind, NodeKind

__all__ = ["EDGE_ENDS", "NODE_PROPERTIES", "STATEFUL"]

NODE_PROPERTIES: dict[NodeKind, dict[str, type[int] | type[str] | type[bytes]]] = {
    NodeKind.SOURCE: {"name": str, "party": int},
    NodeKind.RECORD: {"source": str},
    NodeKind.RECORD_VERSION: {
        "observed_at": int,
        "source_version": int,
        "digest": bytes,  # keyed digest of the content: orders versions and recognises repeats
        "tombstone": int,
        "profile": bytes,  # keyed digest of the normalised profile
        "sealed": bytes,
    },
    NodeKind.IDENTIFIER: {"type": int, "sealed": bytes},
    NodeKind.BLOCK: {},
    NodeKind.IDENTITY: {},
    NodeKind.HOUSEHOLD: {"reason": str},
    NodeKind.CONSENT: {"purpose": str, "state": int, "channel": str, "event_time": int, "sealed": bytes},
    # `about` is the id of a household that a decision speaks of, else empty; `expires_at` is 0 for never.
    NodeKind.DECISION: {"kind": str, "sealed": bytes, "about": bytes, "expires_at": int, "overrides_veto": int},
    NodeKind.REQUEST: {"digest": bytes, "result": bytes, "at": int},
    NodeKind.ARTEFACT: {"body": bytes},  # sealed; empty on the root that names the current version
    NodeKind.RELATION: {},  # named by the alias of the record that is related to, whether or not that is there
    NodeKind.JOB: {
        "type": str,
        "state": int,
        "is_open": int,  # neither ended nor given up
        "is_deferred": int,
        "is_cancelling": int,
        "done": int,
        "total": int,
        "unit": str,
        "checkpoint": bytes,  # holds nothing personal: ids, revisions, places
        "result": bytes,  # holds nothing personal
        "error": str,
        "attempts": int,
        "owner": str,
        "lease_until": int,
        "revision": int,  # the tenant's when it was asked for
        "created_at": int,
        "started_at": int,
        "ended_at": int,
        "sealed": bytes,  # parameters, and who asked
    },
    NodeKind.REVIEW: {"body": bytes},  # who has claimed or skipped a pair, as keyed digests
    NodeKind.LABEL: {
        "left": bytes,  # id of the record, the smaller first
        "right": bytes,
        "answer": int,
        "actor": bytes,  # keyed digest of who answered
        "asks_another": int,  # whether who answered asked for a second opinion
        "decision": bytes,  # id of the decision that the answer came to; empty while it is an opinion
        "levels": bytes,  # a level for each comparison of the model
        "model": str,
        "left_profile": bytes,  # keyed digests of the profiles that were seen
        "right_profile": bytes,
        "sealed": bytes,  # who answered, and why
    },
    NodeKind.EVENTS: {"body": bytes},  # what one commit tells those who follow it: opaque ids and names of attributes
    NodeKind.CURSOR: {"name": str, "body": bytes},  # how far a reader of the events has come
    NodeKind.DEAD_LETTER: {"body": bytes},  # an event that could not be delivered, and why
    NodeKind.DECISION_END: {"kind": str, "sealed": bytes},  # undo or expiry; its id follows from the decision's
    NodeKind.DUE: {"decision": bytes},  # its id begins with when the decision expires; deleted when that has ended
}

STATEFUL: frozenset[NodeKind] = frozenset({NodeKind.JOB, NodeKind.CURSOR, NodeKind.DEAD_LETTER, NodeKind.REVIEW})
"""Kinds whose nodes change: one change set deletes a node and puts it again. They have no edges and no past: every reader
sees them as they are now, whatever its revision."""

EDGE_ENDS: dict[EdgeKind, tuple[frozenset[NodeKind], frozenset[NodeKind]]] = {
    EdgeKind.FROM: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.SOURCE})),
    EdgeKind.CURRENT: (
        frozenset({NodeKind.RECORD, NodeKind.ARTEFACT}),
        frozenset({NodeKind.RECORD_VERSION, NodeKind.ARTEFACT}),
    ),
    EdgeKind.PAST: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.RECORD_VERSION})),
    EdgeKind.HAS: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.IDENTIFIER})),
    EdgeKind.IN: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.BLOCK})),
    EdgeKind.RESOLVED_TO: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.IDENTITY})),
    EdgeKind.MATCHES: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.RECORD})),
    EdgeKind.MEMBER_OF: (frozenset({NodeKind.IDENTITY}), frozenset({NodeKind.HOUSEHOLD})),
    EdgeKind.SUPERSEDED_BY: (frozenset({NodeKind.IDENTITY}), frozenset({NodeKind.IDENTITY})),
    EdgeKind.ABOUT: (frozenset({NodeKind.CONSENT}), frozenset({NodeKind.RECORD, NodeKind.IDENTIFIER})),
    EdgeKind.MUST_LINK: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.DECISION})),
    EdgeKind.CANNOT_LINK: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.DECISION})),
    EdgeKind.CUT: (frozenset({NodeKind.IDENTITY}), frozenset({NodeKind.IDENTITY})),
    EdgeKind.RELATES: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.RELATION})),
    EdgeKind.NAMES: (frozenset({NodeKind.RELATION}), frozenset({NodeKind.RECORD})),
    EdgeKind.LABELLED: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.LABEL})),
    EdgeKind.STAGED: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.RECORD})),
    EdgeKind.DISPUTED: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.RECORD})),
    EdgeKind.BINDS: (frozenset({NodeKind.RECORD}), frozenset({NodeKind.DECISION})),
}
