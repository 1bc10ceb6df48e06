"""Say which match model a tenant's identities are made by, and which one is staged to follow it.

A model has a *generation* where its keys and edges are in the graph. The blocking keys of a generation are told from another's
by their first byte, so that both can be kept beside each other. Edges of the model in use are MATCHES, those of another are
STAGED. Upserts and deletions keep up both, each under its own model, limits and keys, while a model is staged.

Changing models goes in bounded steps, each one transaction:

1. *Stage.* From one commit on, whatever changes is kept up for the new generation too. Then every record gets its new keys,
   and then, when every key has all its records, every record's pairs are judged: STAGED is what bulk would find.
2. *Switch.* From one commit on the new model is in use: upserts compare and cut by it, on STAGED, and copy what they change to
   MATCHES. The blocking keys of the former model are no more looked at.
3. *Settle.* Every record is linked again, together with all that is one identity with it so far, or one component under the
   new model, until nothing reaches out of the set: so each old identity is cut whole, in one step, and its id stays with the
   largest part. Reads meanwhile see identities of both models, each whole. The records' former MATCHES become the new.
4. *Finish.* When all are settled, MATCHES equals STAGED, and is what is looked at again.
5. *Clear.* What is left of the former generation, and STAGED, is taken away.

So the partition at the end is that of one bulk run under the new model, whatever came in meanwhile, and a job that is killed in
any step goes on with it. Rolling back goes the same way, to the former model.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind
from goldenthread.resolver.scoring import MatchModel, Scorer
from goldenthread.server.commands.pair_weights import PairWeights

__all__ = ["Deployment", "Generation", "keys_of", "next_generation", "tagged"]

_GENERATIONS = 256


class Deployment(Struct, frozen=True, kw_only=True):
    """Which models are in the graph; kept as an artefact that every commit holds to.

    `is_complete` when the staged generation has all its keys and edges; `is_switching` from the switch to the finish, and
    `switched_at` is the revision before it; `is_clear` when nothing is left of generations that are neither in use nor staged.
    `previous` are versions that were in use, the latest first.
    """

    active: str
    generation: int = 0
    staged: str = ""
    staged_generation: int = 0
    is_complete: bool = False
    is_switching: bool = False
    switched_at: int = 0
    is_clear: bool = True
    previous: tuple[str, ...] = ()
    data_model: str = ""
    """The id of the data model's version, so that a change of it is noticed as well."""
    normaliser: int = 0
    """The version of the normaliser that the keys of records are of; 0 where nobody noted it."""
    is_renormalising: bool = False
    """True while some records' keys and identities may still be those of another normaliser, or of other types."""
    renormalised_at: int = 0
    """The revision before records were to be read otherwise."""
    keeps_staged: bool = True
    """False when no STAGED edge that ended is left of models that were staged before."""

    def to_json(self) -> bytes:
        """Encode it."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> Deployment:
        """Decode it."""
        return msgspec.json.decode(data, type=Deployment)


class Generation(Struct):
    """A match model that has its keys and edges in the graph."""

    number: int
    model: MatchModel
    scorer: Scorer
    matches: EdgeKind = EdgeKind.MATCHES
    """Kind of the edges that are read; while switching, changes are copied to MATCHES."""
    weights: PairWeights = msgspec.field(default_factory=PairWeights)
    """Weights of pairs in large components."""


def next_generation(deployment: Deployment) -> int:
    """Choose a number that neither generation has."""
    taken = {deployment.generation, *([deployment.staged_generation] if deployment.staged else [])}
    return next(n % _GENERATIONS for n in range(deployment.generation + 1, _GENERATIONS * 2) if n % _GENERATIONS not in taken)


def tagged(generation: int, blind: bytes) -> bytes:
    """Make a generation's own key of a blind one."""
    return bytes((generation,)) + blind[1:]


def keys_of(generation: int, edges: Iterable[Edge]) -> list[Edge]:
    """Choose a generation's own edges among a record's HAS and IN edges: identifiers belong to every generation."""
    return [edge for edge in edges if edge.kind is EdgeKind.HAS or edge.target[0] == generation]
