"""Bulk export of golden records: one file however often it is resumed, at one revision, masked by role."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import Run, run_main
from wire.conftest import SharedServers
from wire.serving import RunningServer

from goldenthread.cli import export as export_module
from goldenthread.client import Client, Record, survivorship_rules, value_text
from goldenthread.client.errors import InvalidField

PEOPLE = 60


def person(number: int, **values: str) -> Record:
    known = {
        "address": f"{number} Main Street, Springfield",
        "given_name": f"Given{number}",
        "surname": f"Surname{number:03}",
        "email": f"person{number}@mail.example",
    }
    return Record("crm" if number % 2 else "shop", str(number), {**known, "gender": "f", "note": f"note {number}", **values})


@pytest.fixture
def server(shared_servers: SharedServers, store_url: str) -> RunningServer:
    """A server that writes small messages, so that an export has many parts."""
    server = shared_servers(store_url, max_message_bytes=8192)
    with server.client() as client:
        list(client.upsert_stream((person(number) for number in range(PEOPLE)), records_per_chunk=20))
    return server


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def rows_of(data: bytes) -> list[dict[str, object]]:
    table = pa.ipc.open_stream(data).read_all()
    found: list[dict[str, object]] = table.to_pylist()
    return found


def test_the_file_is_the_same_wherever_it_is_resumed_and_whatever_changes_meanwhile(client: Client) -> None:
    parts = list(client.export_golden_records())
    whole = rows_of(b"".join(part.data for part in parts))
    client.upsert_records([person(number, surname="Changed") for number in range(0, PEOPLE, 3)])
    client.upsert_record(person(PEOPLE))

    for place in range(len(parts)):
        rest = client.export_golden_records(resume_token=parts[place].resume_token)
        assert rows_of(b"".join(part.data for part in (*parts[: place + 1], *rest))) == whole

    assert len(parts) > 3
    assert {part.revision for part in parts} == {parts[0].revision}
    assert sum(part.rows for part in parts) == len(whole) == PEOPLE
    assert (parts[-1].identities_read, parts[-1].identities_total) == (PEOPLE, PEOPLE)


def test_arrow_and_csv_hold_the_golden_records(client: Client) -> None:
    arrow = rows_of(b"".join(part.data for part in client.export_golden_records()))
    text = b"".join(part.data for part in client.export_golden_records(csv=True)).decode()
    lines = list(csv.DictReader(io.StringIO(text)))

    identity = str(arrow[0]["identity"])
    golden = client.get_golden_record(identity).golden_record
    values = {one.attribute: [value_text(value.value) for value in one.values] for one in golden.attributes}
    assert [arrow[0]["surname"]] == values["surname"] == [lines[0]["surname"]]
    assert arrow[0]["email"] == values["email"] == json.loads(lines[0]["email"])
    assert json.loads(str(arrow[0]["free_attributes"])) == {"note": values["note"]}
    assert [row["identity"] for row in arrow] == [row["identity"] for row in lines]


def test_filters_choose_rows_and_columns(client: Client) -> None:
    data = b"".join(part.data for part in client.export_golden_records(sources=["crm"], attributes=["surname"]))

    rows = rows_of(data)

    assert len(rows) == PEOPLE // 2
    assert set(rows[0]) == {"identity", "records", "conflicts", "stale", "surname"}
    assert not rows_of(b"".join(part.data for part in client.export_golden_records(min_records=9)))
    with pytest.raises(InvalidField, match="attributes"):
        list(client.export_golden_records(attributes=["planet"]))


def test_a_purpose_limits_an_export_too(client: Client) -> None:
    limit = {"purpose": "adverts", "forbidden_sources": ["shop"], "forbidden_attributes": ["surname"]}
    client.update_survivorship_rules(survivorship_rules({"purposes": [limit]}))

    rows = rows_of(b"".join(part.data for part in client.export_golden_records(purpose="adverts")))

    assert {row["surname"] for row in rows} == {None}
    assert sum(bool(row["email"]) for row in rows) == PEOPLE // 2
    with pytest.raises(InvalidField, match="purpose"):
        list(client.export_golden_records(purpose="advert"))


@pytest.mark.parametrize(
    ("role", "masked", "seen"),
    [
        ("admin", False, (True, True, True)),
        ("writer", False, (True, True, False)),
        ("reader", False, (True, False, False)),
        ("admin", True, (False, False, False)),
    ],
)
def test_what_a_role_may_not_see_is_masked(
    server: RunningServer, role: str, masked: bool, seen: tuple[bool, bool, bool]
) -> None:
    with server.client(role) as caller:  # type: ignore[arg-type]  # a role
        rows = rows_of(b"".join(part.data for part in caller.export_golden_records(masked=masked)))

    surnames = {str(row["surname"]).startswith("Surname") for row in rows}
    emails = {"person" in str(row["email"]) for row in rows}
    genders = {row["gender"] == "f" for row in rows}
    assert {row["address"] for row in rows} == {"…"} or seen[1]
    assert (surnames, emails, genders) == tuple({whole} for whole in seen)


def test_a_token_of_another_export_is_refused(server: RunningServer, client: Client) -> None:
    token = next(client.export_golden_records()).resume_token

    for wrong in ("nonsense", token[:-8] + "AAAAAAA=", "é"):
        with pytest.raises(InvalidField, match="resume_token"):
            next(client.export_golden_records(resume_token=wrong))
    with pytest.raises(InvalidField, match="resume_token"):
        next(client.export_golden_records(resume_token=token, csv=True))
    with server.client("reader") as reader, pytest.raises(InvalidField, match="resume_token"):
        next(reader.export_golden_records(resume_token=token))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_an_export_that_was_stopped_goes_on_and_ends_as_one_that_was_not(
    server: RunningServer,
    suffix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOLDENTHREAD_SERVER", server.address)
    monkeypatch.setenv("GOLDENTHREAD_TOKEN", server.token())
    run: Run = lambda *arguments: run_main(capsys, ("golden", "export", "--out", *arguments))  # noqa: E731 - a short name
    once, twice = tmp_path / f"once{suffix}", tmp_path / f"twice{suffix}"
    keep = export_module._keep
    kept: list[int] = []

    def keep_two(*arguments: object) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(1)
        keep(*arguments)  # type: ignore[arg-type]  # as they came

    assert run(once).code == 0
    monkeypatch.setattr(export_module, "_keep", keep_two)
    stopped = run(twice)
    monkeypatch.setattr(export_module, "_keep", keep)
    half = tmp_path / f"twice{suffix}.part"
    half.write_bytes(half.read_bytes() + b"half a part")
    other = run(twice, "--masked")
    gone_on = run(twice, "--json")

    assert (stopped.code, other.code, gone_on.code) == (130, 1, 0)
    assert gone_on.facts["golden_records"] == PEOPLE
    if suffix == ".csv":
        assert once.read_bytes() == twice.read_bytes()
    else:
        assert pq.read_table(once).equals(pq.read_table(twice))
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {once.name, twice.name}
    assert run(tmp_path / "golden.txt").code == 2
