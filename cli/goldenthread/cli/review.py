"""review: answer doubtful pairs of records, one at a time or by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from goldenthread.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_SERVER,
    DataOption,
    JsonOption,
    ServerOption,
    TenantOption,
    TlsCaOption,
    TokenOption,
    connect,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from goldenthread.client import ReviewItem, ReviewReason

__all__ = ["add_commands"]

review = typer.Typer(help="Answer doubtful pairs of records, those worth most first.", no_args_is_help=True)

ItemArgument = Annotated[str, typer.Argument(help="Name of the pair, or its last part.", show_default=False)]
WhyOption = Annotated[str, typer.Option("--reason", help="Why, without personal data; it is kept.", show_default=False)]
Said = Literal["same", "different", "unsure"]


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(review, name="review")


@review.command("start")
def start(
    count: Annotated[int, typer.Option("--count", help="At most so many pairs; 0 for all there are.", min=0)] = 0,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Answer pairs one at a time, side by side.

    Keys: y one person, n two people, ? the records do not tell, s skip, u undo the last, q quit. With a capital Y or N
    somebody else's opinion is asked for first.

    Example:

      goldenthread review start --count 20
    """
    from goldenthread.cli.review_pairs import answer_pairs

    with connect(server, token, tenant, tls_ca, data) as client:
        answer_pairs(client, count)


@review.command("list")
def list_(
    reason: Annotated[
        list[str] | None,
        typer.Option("--why", help="Only nearly-linked, barely-linked or kept-apart pairs.", show_default=False),
    ] = None,
    key: Annotated[str, typer.Option("--identity", help="Only pairs of this identity.", show_default=False)] = "",
    min_value: Annotated[float, typer.Option("--min-value", help="Only pairs worth at least so much.", min=0)] = 0.0,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List doubtful pairs, those worth most first.

    Example:

      goldenthread review list --why kept-apart --limit 20
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import find_identity_name
    from goldenthread.client import to_dict

    wanted = [_reason(one) for one in reason or ()]
    with connect(server, token, tenant, tls_ca, data) as client:
        identity = find_identity_name(client, key) if key else ""
        found = client.list_review_items(reasons=wanted, identity=identity, min_value=min_value, page_size=min(limit + 1, 1000))
        items = output.limited(found, limit)
    if json:
        output.print_json([to_dict(item) for item in items])
        return
    output.show(_table(items))


@review.command("claim")
def claim(
    count: Annotated[int, typer.Option("--count", help="At most so many pairs.", min=1, max=100)] = 1,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Claim the pairs worth most, so that nobody else is given them for a while.

    Example:

      goldenthread review claim --count 5
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        items = client.claim_review_items(count)
    if json:
        output.print_json([to_dict(item) for item in items])
        return
    output.show(_table(items))


@review.command("decide")
def decide(
    item: ItemArgument,
    answer: Annotated[Said, typer.Argument(help="same person, different people, or unsure.", show_default=False)],
    reason: WhyOption = "",
    second_opinion: Annotated[
        bool, typer.Option("--second-opinion", help="Have somebody else answer before anything is decided.")
    ] = False,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Answer one pair.

    Example:

      goldenthread review decide 01a2… different --reason "father and son"
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.cli.review_pairs import ANSWERS
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        decided = client.decide_review_item(item, ANSWERS[answer], reason=reason, second_opinion=second_opinion)
    if json:
        output.print_json(to_dict(decided))
    elif decided.decision:
        output.show(f"Decided: {short(decided.decision)}.")
    else:
        output.show("Kept; nothing is decided yet.")


@review.command("skip")
def skip(
    item: ItemArgument,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Leave a pair to others.

    Example:

      goldenthread review skip 01a2…
    """
    from goldenthread.cli import output
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        skipped = client.skip_review_item(item)
    if json:
        output.print_json(to_dict(skipped))
    else:
        output.show("Skipped; others are still asked.")


@review.command("undo")
def undo(
    item: ItemArgument,
    reason: WhyOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Take back what was said of a pair.

    The decision that came of it is undone.

    Example:

      goldenthread review undo 01a2… --reason "wrong key"
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.client import to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        undone = client.undo_review_decision(item, reason=reason)
    if json:
        output.print_json(to_dict(undone))
    elif undone.decision:
        output.show(f"Undone: {short(undone.decision)}.")
    else:
        output.show("Taken back.")


@review.command("stats")
def stats(
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Count what is asked about and what was answered.

    Example:

      goldenthread review stats
    """
    from goldenthread.cli import output
    from goldenthread.cli.review_pairs import words
    from goldenthread.client import ReviewReason, to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = client.get_review_stats()
    if json:
        output.print_json(to_dict(found))
        return
    reasons = [[words(ReviewReason.Name(c.reason)), str(c.items), f"{c.value:.1f}"] for c in found.reasons]
    output.show(output.table("", ["why", "pairs", "records put right"], reasons, numbers=["pairs", "records put right"]))
    counts = {
        "open": found.open,
        "claimed": found.claimed,
        "awaiting a second opinion": found.awaiting_opinion,
        "answered: one person": found.same_person,
        "answered: two people": found.different_people,
        "answered: can't say": found.cannot_say,
    }
    rows = [[name, str(count)] for name, count in counts.items()]
    output.show(output.table("", ["", "pairs"], rows, numbers=["pairs"]))
    if found.truncated:
        output.note("There are more doubtful pairs; they come up as these are answered.")


@review.command("labels")
def labels(
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for `goldenthread train`.", show_default=False)] = None,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """List what people said of pairs, or write it as labels to train with.

    With --out the settled pairs are written by source and record id, as `goldenthread label` writes them.

    Example:

      goldenthread review labels --out labels.csv
    """
    from goldenthread.cli import output
    from goldenthread.cli.keys import short
    from goldenthread.cli.review_pairs import words, write_settled
    from goldenthread.client import LabelOrigin, ReviewAnswer, to_dict

    with connect(server, token, tenant, tls_ca, data) as client:
        found = list(client.list_labels())
        if out is not None:
            count = write_settled(client, found, out)
            output.show(f"{output.counted(count, 'labelled pair is', 'labelled pairs are')} in {out}.")
            return
    if json:
        output.print_json([to_dict(label) for label in found])
        return
    rows = [
        [
            short(label.name),
            words(ReviewAnswer.Name(label.answer)),
            label.actor,
            "yes" if label.decision else "",
            LabelOrigin.Name(label.origin).removeprefix("LABEL_ORIGIN_").lower(),
        ]
        for label in found
    ]
    output.show(output.table("", ["label", "answer", "by", "decided", "from"], rows))


def _reason(word: str) -> ReviewReason.ValueType:
    """Read why pairs are asked about.

    Raises UsageError when the word is not known.
    """
    from goldenthread.cli.errors import UsageError
    from goldenthread.client import ReviewReason

    known = {name.split("_", 2)[2].lower().replace("_", "-"): number for name, number in ReviewReason.items() if number}
    if word not in known:
        raise UsageError(f"--why {word} is not known.", f"Use one of {', '.join(known)}.")
    return known[word]


def _table(items: list[ReviewItem]) -> RenderableType:
    from goldenthread.cli import output
    from goldenthread.cli.review_pairs import words
    from goldenthread.client import ReviewReason, ReviewState

    rows = [
        [
            item.name.rpartition("/")[2],
            words(ReviewReason.Name(item.reason)) + (f" by {item.kept_apart_by}" if item.kept_apart_by else ""),
            f"{item.match.weight:+.1f}",
            f"{item.value:.2f}",
            words(ReviewState.Name(item.state)),
        ]
        for item in items
    ]
    return output.table("", ["pair", "why", "bits", "value", "state"], rows, numbers=["bits", "value"])
