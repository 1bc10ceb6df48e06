"""Show doubtful pairs side by side and take answers, one key each; write settled ones as labels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from goldenthread.cli import output
from goldenthread.cli.explain import match_table
from goldenthread.cli.keys import short
from goldenthread.cli.pair_labels import write_labels
from goldenthread.client import Client, Label, RecordMessage, ReviewAnswer, ReviewItem, ReviewReason, value_text

__all__ = ["ANSWERS", "answer_pairs", "words", "write_settled"]

ANSWERS = {
    "same": ReviewAnswer.REVIEW_ANSWER_SAME_PERSON,
    "different": ReviewAnswer.REVIEW_ANSWER_DIFFERENT_PEOPLE,
    "unsure": ReviewAnswer.REVIEW_ANSWER_CANNOT_SAY,
}
_KEYS = {"y": ANSWERS["same"], "n": ANSWERS["different"], "?": ANSWERS["unsure"]}
_HELP = "y one person · n two people · Y, N ask somebody else too · ? can't say · s skip · u undo the last · q quit"


def answer_pairs(client: Client, most: int) -> None:
    """Claim, show and answer pairs until there are no more, as many as wanted are answered, or somebody quits."""
    done: list[str] = []
    pending: list[str] = []
    while not most or len(done) < most:
        item = client.get_review_item(pending.pop()) if pending else _next(client)
        if item is None:
            output.show("There are no more pairs for you.")
            break
        _show(client, item)
        key = _ask()
        if key == "q":
            break
        if key == "u":
            pending.append(item.name)
            if done:
                pending.append(done.pop())
                client.undo_review_decision(pending[-1])
            else:
                output.note("There is nothing to undo.")
            continue
        if key == "s":
            client.skip_review_item(item.name)
        else:
            decided = client.decide_review_item(item.name, _KEYS[key.lower()], second_opinion=key.isupper())
            output.note("Decided." if decided.decision else "Kept; nothing is decided yet.")
        done.append(item.name)
    output.show(f"{len(done)} pairs done.")


def write_settled(client: Client, labels: Sequence[Label], out: Path) -> int:
    """Write the pairs whose answer is a decision, by source and record id; answer how many."""
    keys: dict[str, tuple[str, str]] = {}
    rows: list[tuple[bool, tuple[str, str], tuple[str, str]]] = []
    for label in labels:
        if not label.decision:
            continue
        for name in label.records:
            if name not in keys:
                record = client.get_record(name).record
                keys[name] = (record.source, record.source_record_id)
        left, right = label.records
        rows.append((label.answer == ANSWERS["same"], keys[left], keys[right]))
    write_labels(out, rows)
    return len(rows)


def words(name: str) -> str:
    """Write the name of a reason, state or answer in words."""
    return name.split("_", 2)[2].lower().replace("_", " ")


def _next(client: Client) -> ReviewItem | None:
    return next(iter(client.claim_review_items(1)), None)


def _ask() -> str:
    """Read a key, and ask again while it is none; the end of input quits."""
    while True:
        sys.stderr.write(f"{_HELP}\n> ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        key = line.strip()
        if not line or key.lower() == "q":
            return "q"
        if key in ("y", "n", "Y", "N", "?", "s", "u"):
            return key


def _show(client: Client, item: ReviewItem) -> None:
    """Show both records side by side, what differs marked, and what the weight is made of."""
    left, right = (client.get_record(name).record for name in item.records)
    ours, theirs = _values(left), _values(right)
    rows = [
        [name, ours.get(name, ""), "=" if ours.get(name) == theirs.get(name) else "", theirs.get(name, "")]
        for name in dict.fromkeys((*ours, *theirs))
    ]
    why = words(ReviewReason.Name(item.reason)) + (f" by {item.kept_apart_by}" if item.kept_apart_by else "")
    title = f"{why}: chance that this is wrong {item.chance_wrong:.0%}, records that would move {item.records_moved}"
    output.show(output.table(title, ["", f"{left.source} record", "", f"{right.source} record"], rows))
    output.show(match_table(" and ".join(short(name) for name in item.records), item.match))


def _values(record: RecordMessage) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for value in record.attributes:
        found.setdefault(value.attribute, []).append(value_text(value))
    return {name: "; ".join(sorted(texts)) for name, texts in found.items()}
