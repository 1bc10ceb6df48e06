"""Answer a doubtful pair, and take an answer back. What settles a pair is a steward's decision like any other."""

from __future__ import annotations

from msgspec import Struct

from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.server.commands.decisions.create import CannotLink, MustLink, plan_link
from goldenthread.server.commands.decisions.kept import DecisionTerms
from goldenthread.server.commands.decisions.undo import plan_undo
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request, once
from goldenthread.server.commands.labels import Answer, put_label
from goldenthread.server.commands.review.doubts import Pair, is_settled, weigh_doubts
from goldenthread.server.commands.review.standing import (
    Hold,
    Standing,
    put_hold,
    read_standings,
    settling_answer,
    state_id,
)
from goldenthread.server.commands.seen import hidden_records
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, NotFound
from goldenthread.server.sight import Sight

__all__ = ["Answered", "Undone", "answer_pair", "undo_answer"]

_REASON = "answered in review"


class Answered(Struct, frozen=True):
    """What an answer came to: the label that was kept, and the decision, empty when it did not settle the pair."""

    label: bytes
    decision: bytes
    revision: int


class Undone(Struct, frozen=True):
    """What was taken back: the decision, empty when it was an opinion or a skip, and the labels that ended."""

    decision: bytes
    labels: tuple[bytes, ...]
    revision: int


async def answer_pair(
    engine: Engine,
    tenant: Tenant,
    pair: Pair,
    answer: Answer,
    actor: str,
    reason: str,
    request: Request,
    sight: Sight,
    *,
    asks_another: bool,
) -> Answered:
    """Keep an answer as a label; where it settles the pair, make the decision in the same transaction.

    The pair need not be doubtful any more: an answer is not lost because something changed meanwhile.

    Raises:
        NotFound: one of the records is gone, or the caller may not see whose it is.
        FailedPrecondition: the pair is settled, claimed by somebody else, or was answered by the caller before.
    """
    from_value = engine.config.review_second_opinion_value

    async def work(transaction: Transaction, at: int) -> Answered:
        async def change() -> tuple[ChangeSet, Answered]:
            await transaction.lock([state_id(tenant, pair), *pair])
            members = await tenant.members_of((await transaction.records(pair)).values())
            if len(members) < len(pair) or await hidden_records(transaction, sight, pair):
                raise NotFound("review item")
            standing = (await read_standings(transaction, tenant, [pair], actor, at))[pair]
            _check(standing)
            doubt = (await weigh_doubts(transaction, tenant, [pair])).get(pair) if from_value else None
            said = [(label.answer, label.asks_another) for label in standing.labels]
            settles = settling_answer([*said, (answer, asks_another)], doubt.value if doubt is not None else 0.0, from_value)
            changes, decision = ChangeSet(), b""
            if settles is answer:
                sides = [("records", pair[0])], [("records", pair[1])]
                ruled = MustLink(*sides) if answer is Answer.SAME_PERSON else CannotLink(*sides)
                planned = await plan_link(transaction, tenant, ruled, DecisionTerms(actor, reason or _REASON), at, sight)
                changes, decision = await planned.changes(), planned.decided.decision
            label = await put_label(
                tenant,
                changes,
                pair,
                (members[pair[0]], members[pair[1]]),
                answer,
                actor,
                reason,
                at,
                asks_another=asks_another,
                decision=decision,
            )
            put_hold(tenant, changes, pair, Hold(skipped_by=standing.hold.skipped_by))
            return changes, Answered(label, decision, transaction.revision.number + 1)

        return await once(transaction, tenant, request, at, Answered, change)

    return await engine.write(tenant, work)


async def undo_answer(
    engine: Engine, tenant: Tenant, pair: Pair, actor: str, reason: str, request: Request, sight: Sight
) -> Undone:
    """Take back what was said of a pair: the decision and all its labels, or else the caller's own opinion or skip.

    Raises:
        NotFound: one of the records is gone, or the caller may not see whose it is.
        FailedPrecondition: there is nothing that the caller could take back.
    """

    async def work(transaction: Transaction, at: int) -> Undone:
        async def change() -> tuple[ChangeSet, Undone]:
            await transaction.lock([state_id(tenant, pair), *pair])
            if len(await transaction.records(pair)) < len(pair) or await hidden_records(transaction, sight, pair):
                raise NotFound("review item")
            standing = (await read_standings(transaction, tenant, [pair], actor, at))[pair]
            changes, decision = ChangeSet(), b""
            own = [label for label in standing.labels if label.by == standing.caller]
            if is_settled(standing.labels):
                own = list(standing.labels)
                decision = next(label.decision for label in own if label.decision)
                planned = await plan_undo(transaction, tenant, decision, actor, reason or _REASON, at)
                changes = await planned.changes()
            elif own:
                pass
            elif standing.is_skipped_by_caller:
                skipped = tuple(who for who in standing.hold.skipped_by if who != standing.caller)
                put_hold(tenant, changes, pair, Hold(standing.hold.claimed_by, standing.hold.claimed_until, skipped))
            else:
                raise FailedPrecondition("you have neither answered nor skipped the pair")
            ended = tuple(label.id for label in own)
            changes.delete_nodes += [id for id in ended if id not in set(changes.delete_nodes)]
            return changes, Undone(decision, ended, transaction.revision.number + 1)

        return await once(transaction, tenant, request, at, Undone, change)

    undone = await engine.write(tenant, work)
    await tenant.vault.destroy(undone.labels)
    return undone


def _check(standing: Standing) -> None:
    if is_settled(standing.labels):
        raise FailedPrecondition("the pair was answered; undo that first")
    if standing.is_answered_by_caller:
        raise FailedPrecondition("you have answered the pair; undo your answer first")
    if standing.is_claimed and not standing.is_claimed_by_caller:
        raise FailedPrecondition("somebody else has claimed the pair; wait until the claim ends")
