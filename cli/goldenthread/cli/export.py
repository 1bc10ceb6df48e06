"""golden export: all golden records into one file, which a broken-off export goes on with."""

from __future__ import annotations

import json as json_format
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

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
from goldenthread.cli.errors import CommandError, UsageError
from goldenthread.cli.identity import AsOfOption

if TYPE_CHECKING:
    from goldenthread.v1.golden_record_service_pb2 import ExportGoldenRecordsResponse

__all__ = ["export"]

ROW_GROUP = 50_000
"""Rows that a row group of the Parquet file has at least, but for the last."""


@dataclass(slots=True)
class _State:
    """How far an export came: kept beside its file, so that a later run goes on. `size` is how much of the data is sure."""

    digest: str
    token: str = ""
    size: int = 0
    rows: int = 0
    revision: int = 0
    complete: bool = False


def export(
    out: Annotated[Path, typer.Option("--out", help="File to write: .parquet or .csv.", show_default=False)],
    purpose: Annotated[str, typer.Option("--purpose", help="What it is for: one of the rules' purposes.")] = "",
    min_records: Annotated[int, typer.Option("--min-records", help="Only identities with so many records.", min=0)] = 0,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only identities with a record of this source.", show_default=False)
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", help="Only this attribute; all by default.", show_default=False)
    ] = None,
    masked: Annotated[bool, typer.Option("--masked", help="Mask everything that says something of a person.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Start over, whatever an earlier run left.")] = False,
    as_of: AsOfOption = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = "",
    tenant: TenantOption = "",
    tls_ca: TlsCaOption = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write the golden records of all identities to a file, all as of one revision.

    An export that was stopped or killed goes on when the same command is given again: FILE.part and FILE.state are beside the
    file until it is whole.

    Examples:

      goldenthread golden export --out golden.parquet

      goldenthread golden export --out mailing.csv --purpose advertising --attribute name --attribute email
    """
    from goldenthread.cli import output
    from goldenthread.cli.moments import parse_as_of
    from goldenthread.client import Retry

    if out.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--out {out} is neither .parquet nor .csv.", "Name the file golden.parquet or golden.csv.")
    moment = parse_as_of(as_of)
    what = [out.suffix, purpose, min_records, source, attribute, masked, as_of]
    part, kept = out.with_name(out.name + ".part"), out.with_name(out.name + ".state")
    if restart:
        part.unlink(missing_ok=True)
        kept.unlink(missing_ok=True)
    with connect(server, token, tenant, tls_ca, data, retry=Retry(attempts=8)) as client:
        digest = blake2b(json_format.dumps([client.tenant, *what]).encode(), digest_size=8).hexdigest()
        state = _read_state(kept, part, out, digest)
        if state.rows:
            output.note(f"Going on after {state.rows:,} golden records, at revision {state.revision}.")
        if not state.complete:
            parts = client.export_golden_records(
                csv=out.suffix == ".csv",
                resume_token=state.token,
                purpose=purpose,
                min_records=min_records,
                sources=source or (),
                attributes=attribute or (),
                masked=masked,
                as_of=moment,
            )
            try:
                _receive(parts, part, kept, state)
            except KeyboardInterrupt:
                output.note(f"{state.rows:,} golden records were kept. To go on, give the same command again.")
                raise
    if part.exists():  # else an earlier run ended between making the file and forgetting the state
        _finish(part, out)
    kept.unlink()
    if json:
        output.print_json({"file": str(out), "golden_records": state.rows, "revision": state.revision})
    else:
        output.show(
            f"Wrote {output.counted(state.rows, 'golden record', 'golden records')} as of revision {state.revision} to {out}."
        )


def _receive(parts: Iterator[ExportGoldenRecordsResponse], part: Path, kept: Path, state: _State) -> None:
    """Append what comes to the data file, and note each time how much of it is sure."""
    from goldenthread.cli import output

    first = next(parts)
    with part.open("r+b" if part.exists() else "w+b") as file:
        file.truncate(state.size)
        file.seek(state.size)
        with output.progress("golden records", first.identities_total) as advance:
            before = 0
            for answer in chain([first], parts):
                _keep(file, kept, answer, state)
                advance(answer.identities_read - before)
                before = answer.identities_read


def _keep(file: BinaryIO, kept: Path, answer: ExportGoldenRecordsResponse, state: _State) -> None:
    file.write(answer.data)
    file.flush()
    os.fsync(file.fileno())
    state.token, state.complete = answer.resume_token, answer.complete
    state.revision = answer.revision
    state.size += len(answer.data)
    state.rows += answer.rows
    written = kept.with_name(kept.name + ".new")
    written.write_text(json_format.dumps({name: getattr(state, name) for name in _State.__slots__}), encoding="utf-8")
    written.replace(kept)


def _read_state(kept: Path, part: Path, out: Path, digest: str) -> _State:
    """Read how far an earlier run came; a new state when there was none.

    Raises CommandError when the run was another export, or its files do not fit each other.
    """
    if not kept.exists():
        return _State(digest)
    try:
        state = _State(**json_format.loads(kept.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise CommandError(f"{kept} does not hold how far an export came.", "Start over with --restart.") from None
    if state.digest != digest:
        raise CommandError(f"{kept} is of an export with other options.", "Give the same ones, or start over with --restart.")
    size = part.stat().st_size if part.exists() else 0
    if size < state.size and not (state.complete and out.exists() and not part.exists()):
        raise CommandError(f"{part} is not what {kept.name} says.", "Start over with --restart.")
    return state


def _finish(part: Path, out: Path) -> None:
    """Make the file of the data; it appears whole or not at all."""
    if out.suffix == ".csv":
        part.replace(out)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = out.with_name(out.name + ".new")
    with (
        pa.OSFile(str(part)) as source,
        pa.ipc.open_stream(source) as stream,
        pq.ParquetWriter(written, stream.schema, compression="zstd") as writer,
    ):
        batches: list[pa.RecordBatch] = []
        for batch in stream:
            batches.append(batch)
            if sum(one.num_rows for one in batches) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(batches))
                batches = []
        if batches:
            writer.write_table(pa.Table.from_batches(batches))
    written.replace(out)
    part.unlink()
