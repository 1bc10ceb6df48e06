"""demo: show the service with simulated customers."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.connect import JsonOption
from goldenthread.cli.demo.sources import DEFAULT_SEED

if TYPE_CHECKING:
    from goldenthread.cli.demo.server import OwnServer
    from goldenthread.client import Client, Identity
    from goldenthread.resolver.evaluate import Evaluation

__all__ = ["add_commands"]


_SEARCHED = ("given_name", "surname", "birth_date", "email", "phone")
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""As Ctrl-C, so that the server ends with the command that started it."""


def add_commands(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("demo")(demo)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the service made of the simulated records."""

    records: int
    people: int
    identities: list[Identity]
    right: list[Identity]
    """Those whose records are all of one person, by the generator's truth."""
    households: int
    accuracy: Evaluation
    load_seconds: float


def demo(
    records: Annotated[int, typer.Option("--records", help="How many records to simulate.", min=10)] = 5000,
    seed: Annotated[int, typer.Option("--seed", help="Another seed simulates other people.")] = DEFAULT_SEED,
    leave: Annotated[bool, typer.Option("--exit", help="End when everything was printed.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder to keep; by default a fresh one that goes afterwards.", show_default=False),
    ] = None,
    listen: Annotated[str, typer.Option("--listen", help="host:port for the server; port 0 takes a free one.")] = "127.0.0.1:0",
    store: Annotated[
        str, typer.Option("--store", help="As for serve, for example neo4j://…; SQLite by default.", show_default=False)
    ] = "",
    write_csv: Annotated[
        Path | None,
        typer.Option("--write-csv", help="Only write the records with their truth to a CSV file.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what the service finds among simulated customers.

    Starts a server of its own and loads the records into it. The people are made up: a CRM, a web shop, a store till and a
    bought list know them with typos, moves, marriages, nicknames, shared phones, twins, fathers and sons. Keeps serving
    until Ctrl-C, unless told to --exit.

    Examples:

      goldenthread demo

      goldenthread demo --records 100000 --write-csv customers.csv
    """
    from goldenthread.cli import output
    from goldenthread.cli.demo import files
    from goldenthread.cli.demo.server import start_server
    from goldenthread.client import Client

    if write_csv is not None:
        people = files.write_csv(write_csv, records, seed)
        if json:
            output.print_json({"records": records, "people": people, "file": str(write_csv)})
        else:
            output.show(f"Wrote {records:,} records of {people:,} people to {write_csv}.")
        return
    with ExitStack() as afterwards:
        folder = data
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="goldenthread-demo-"))
            afterwards.callback(shutil.rmtree, folder, ignore_errors=True)
        output.note("Starting a server …")
        server = start_server(folder, listen, store)
        afterwards.callback(server.stop)
        for number in _ENDING:
            signal.signal(number, _interrupt)
        try:
            with Client(server.address, token=server.token) as client:
                findings = _load(client, records, seed)
                search = ""
                if json:
                    output.print_json(_facts(findings, server))
                else:
                    search = _show(client, findings)
            if leave:
                return
            if not json:
                _show_how_to_go_on(server, folder, search)
            server.wait()
        except KeyboardInterrupt:
            output.note("Stopping the server …")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _load(client: Client, count: int, seed: int) -> Findings:
    """Simulate the records, load them mixed, and ask for all identities."""
    from goldenthread.cli import output
    from goldenthread.cli.demo.files import shuffled
    from goldenthread.cli.demo.sending import to_record
    from goldenthread.cli.demo.sources import simulate_records
    from goldenthread.cli.errors import CommandError
    from goldenthread.resolver.evaluate import evaluate

    simulated = list(shuffled(simulate_records(count, seed), seed))
    truth: dict[str, int] = {}
    began = perf_counter()
    with output.progress("loading", count) as advance:
        for result in client.upsert_stream(map(to_record, simulated), request_id_of=lambda at, _: f"demo-{seed}-{count}-{at}"):
            if result.error is not None:
                raise CommandError(f"Record {result.index + 1} was not kept: {result.error.message}", result.error.advice)
            truth[result.record] = simulated[result.index].person
            if result.index % 100 == 99:
                advance(100)
        advance(count % 100)
    seconds = perf_counter() - began
    identities = list(client.list_identities(page_size=1000))
    linked = {record: identity.name for identity in identities for record in identity.records}
    missing = [record for record in truth if record not in linked]
    if missing:
        raise CommandError(f"{len(missing)} records belong to no identity.", "Look at the server's log and report it.")
    return Findings(
        records=len(truth),
        people=len(set(truth.values())),
        identities=[identity for identity in identities if any(record in truth for record in identity.records)],
        right=[identity for identity in identities if len({truth.get(record) for record in identity.records}) == 1],
        households=sum(members > 1 for members in Counter(h for i in identities for h in i.households).values()),
        accuracy=evaluate([str(person) for person in truth.values()], [linked[record] for record in truth]),
        load_seconds=seconds,
    )


def _facts(findings: Findings, server: OwnServer) -> dict[str, object]:
    """Write the findings for scripts."""
    return {
        "records": findings.records,
        "people": findings.people,
        "identities": len(findings.identities),
        "households": findings.households,
        "duplicates_consolidated": findings.records - len(findings.identities),
        "precision": round(findings.accuracy.pairwise_precision, 4),
        "recall": round(findings.accuracy.pairwise_recall, 4),
        "f1": round(findings.accuracy.pairwise_f1, 4),
        "load_seconds": round(findings.load_seconds, 2),
        "records_per_second": round(findings.records / findings.load_seconds),
        "server": server.address,
    }


def _show(client: Client, findings: Findings) -> str:
    """Show the findings, one golden record with its lineage and one explained match; give a search that finds that person."""
    from goldenthread.cli import output
    from goldenthread.cli.explain import match_table
    from goldenthread.cli.golden import golden_table
    from goldenthread.cli.keys import short
    from goldenthread.client import value_text

    accuracy = findings.accuracy
    rows = [
        ["records from four sources", f"{findings.records:,}"],
        ["people they are of, by the generator's truth", f"{findings.people:,}"],
        ["identities found", f"{len(findings.identities):,}"],
        ["duplicates consolidated", f"{findings.records - len(findings.identities):,}"],
        ["households of two and more", f"{findings.households:,}"],
        ["pairs linked that are right (precision)", f"{accuracy.pairwise_precision:.1%}"],
        ["right pairs that were linked (recall)", f"{accuracy.pairwise_recall:.1%}"],
        ["F1", f"{accuracy.pairwise_f1:.3f}"],
        ["loaded and resolved in", f"{findings.load_seconds:.1f} s, {findings.records / findings.load_seconds:,.0f} a second"],
    ]
    output.show(output.table("What was found", ["", "count"], rows, numbers=["count"]))
    chosen = _telling_identity(client, findings.right or findings.identities)
    output.heading("One golden record, each value with where it comes from")
    output.show(golden_table(client.get_golden_record(chosen.name).golden_record, losers=True))
    steps = client.explain_identity(chosen.name).steps
    if steps:
        left, right = min(steps, key=lambda step: step.strongest.weight).strongest_records
        output.heading("Why two of its records are one person")
        output.show(match_table(f"{short(left)} and {short(right)}", client.explain_match(left, right).match))
    known = [client.get_record(name).record.attributes for name in chosen.records]
    told = [{v.attribute: value_text(v) for v in values if v.attribute in _SEARCHED} for values in known]
    return shlex.join(f"{name}={text}" for name, text in max(told, key=len).items())


def _telling_identity(client: Client, identities: list[Identity]) -> Identity:
    """Choose an identity to show: of three to five records, from as many sources as possible, with more than one surname."""
    few = sorted((i for i in identities if 3 <= len(i.records) <= 5), key=lambda i: (-len(i.records), i.name))[:40]
    best, most = (few or identities)[0], -1
    for identity in few:
        records = [client.get_record(name).record for name in identity.records]
        surnames = {v.text.casefold() for r in records for v in r.attributes if v.attribute == "surname"}
        told = len({record.source for record in records}) * 2 + min(len(surnames), 2)
        if told > most:
            best, most = identity, told
    return best


def _show_how_to_go_on(server: OwnServer, folder: Path, search: str) -> None:
    """Say where it serves, and what to try."""
    from goldenthread.cli import output

    activate = Path(sys.prefix) / "bin" / "activate"
    output.show(
        f"Serving on {server.address} until Ctrl-C. In another terminal:\n\n"
        + (f"  . {shlex.quote(str(activate))}\n" if activate.exists() else "")
        + f"  export GOLDENTHREAD_SERVER={server.address} GOLDENTHREAD_DATA={folder}\n"
        "  goldenthread identities --min-records 4\n"
        f"  goldenthread resolve {search}\n"
        "  goldenthread records --source crm --limit 3      # then: identity, golden, how, explore with crm:ID\n\n"
        f"Callers of other kinds send this token (kept in {folder / 'token'}):\n\n  {server.token}\n"
    )
