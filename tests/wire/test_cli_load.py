"""The client's stream and `goldenthread load`, against a real server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from command_line import Ran, Run, run_main

from goldenthread.cli.demo import shuffled, simulate_records, write_csv
from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.server import OwnServer, start_server
from goldenthread.client import AsyncClient, Client, IdentifierKey, Party, Record, Retry, SemanticType, SourceKey
from goldenthread.client.errors import InvalidField, NotFound, RequestIdReused, TooLarge, Unauthenticated
from goldenthread.server.access import make_token, signing_key

PATIENT = Retry(attempts=30, first_wait_seconds=0.05, longest_wait_seconds=1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "data"


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[OwnServer]:
    started = start_server(data, "127.0.0.1:0")
    yield started
    started.stop()


@pytest.fixture
def token(server: OwnServer, data: Path) -> str:
    """Let each test speak for a tenant of its own, on one server."""
    tenant = f"t{uuid.uuid4().hex[:12]}"
    return make_token(signing_key(data / "keys" / "token.key"), subject="test", tenant=tenant, role="admin", seconds=3600)


@pytest.fixture
def client(server: OwnServer, token: str) -> Iterator[Client]:
    with Client(server.address, token=token) as opened:
        yield opened


@pytest.fixture
def run(
    server: OwnServer, token: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run a command against the server, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOLDENTHREAD_SERVER", server.address)
    monkeypatch.setenv("GOLDENTHREAD_TOKEN", token)

    def run(*arguments: str | Path) -> Ran:
        return run_main(capsys, arguments)

    return run


def people(count: int) -> list[Record]:
    return [to_record(simulated) for simulated in shuffled(simulate_records(count), 3)]


def partition(client: Client) -> set[frozenset[tuple[str, str]]]:
    """Read who is who, by the sources' own ids."""
    keys = {record.name: (record.source, record.source_record_id) for record in client.list_records()}
    return {frozenset(keys[name] for name in identity.records) for identity in client.list_identities()}


def test_every_record_of_a_stream_is_answered_in_order(client: Client) -> None:
    results = client.upsert_records(people(700))

    assert [r.index for r in results] == list(range(700))
    assert all(r.error is None and r.record and r.identity for r in results)
    assert sum(1 for _ in client.list_records(page_size=100)) == 700


async def test_the_async_client_streams_from_an_async_source(server: OwnServer, token: str) -> None:
    async def source() -> AsyncIterator[Record]:
        for record in people(300):
            yield record

    async with AsyncClient(server.address, token=token) as client:
        results = [r async for r in client.upsert_stream(source(), records_per_chunk=64)]
        listed = [r async for r in client.list_records(page_size=50)]

    assert [r.index for r in results] == list(range(300))
    assert len(listed) == 300


def test_a_bad_record_fails_alone(client: Client) -> None:
    bad = [Record("", "1"), Record("crm", ""), Record("crm", "3", {"note": "x" * (4 << 20)})]

    results = client.upsert_records([*people(5), *bad, *people(2)])

    assert [type(r.error) for r in results[5:8]] == [InvalidField, InvalidField, TooLarge]
    assert all(r.error is None for r in (*results[:5], *results[8:]))


def test_the_same_request_id_with_another_body_is_refused(client: Client) -> None:
    client.upsert_record(Record("crm", "1", {"surname": "Smith"}), request_id="r1")

    with pytest.raises(RequestIdReused):
        client.upsert_record(Record("crm", "1", {"surname": "Jones"}), request_id="r1")


def test_a_missing_record_and_a_wrong_token_are_told_apart(server: OwnServer, client: Client) -> None:
    with pytest.raises(NotFound):
        client.get_record(SourceKey("crm", "nobody"))
    with Client(server.address, token="e30.e30.e30") as stranger, pytest.raises(Unauthenticated):
        stranger.get_record(SourceKey("crm", "nobody"))


def test_a_stream_outlives_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    servers = [start_server(tmp_path / "data", "127.0.0.1:0")]
    records = people(1200)

    def killing_at(places: set[int]) -> Iterator[Record]:
        for at, record in enumerate(records):
            if at in places:
                servers[-1].process.kill()
                servers[-1].process.wait()
                servers.append(start_server(tmp_path / "data", servers[0].address))
            yield record

    try:
        with Client(servers[0].address, token=servers[0].token, retry=PATIENT) as client:
            results = list(client.upsert_stream(killing_at({500, 900}), records_per_chunk=50))
            kept = {(r.source, r.source_record_id) for r in client.list_records()}
    finally:
        servers[-1].stop()

    assert [r.index for r in results] == list(range(1200))
    assert all(r.error is None for r in results)
    assert kept == {(r.source, r.source_record_id) for r in records}


async def test_the_async_stream_outlives_a_killed_server_too(tmp_path: Path) -> None:
    servers = [start_server(tmp_path / "data", "127.0.0.1:0")]
    records = people(600)

    def killing_at(place: int) -> Iterator[Record]:
        for at, record in enumerate(records):
            if at == place:
                servers[-1].process.kill()
                servers[-1].process.wait()
                servers.append(start_server(tmp_path / "data", servers[0].address))
            yield record

    try:
        async with AsyncClient(servers[0].address, token=servers[0].token, retry=PATIENT) as client:
            results = [r async for r in client.upsert_stream(killing_at(400), records_per_chunk=50)]
    finally:
        servers[-1].stop()

    assert [r.index for r in results] == list(range(600))
    assert all(r.error is None for r in results)


def test_files_are_loaded_and_loading_them_again_changes_nothing(client: Client, run: Run) -> None:
    write_csv(Path("c.csv"), 300)

    first = run("load", "c.csv", "--ignore", "truth_id", "--json")
    revisions = {record.name: record.revision for record in client.list_records()}
    second = run("load", "c.csv", "--ignore", "truth_id", "--json")

    assert (first.code, second.code) == (0, 0)
    assert first.facts["kept"] == second.facts["kept"] == 300
    assert (first.facts["unchanged"], second.facts["unchanged"]) == (0, 300)
    assert {record.name: record.revision for record in client.list_records()} == revisions


def test_a_load_gives_the_same_people_as_linking_with_the_servers_model(client: Client, run: Run) -> None:
    write_csv(Path("c.csv"), 600)

    run("load", "c.csv", "--ignore", "truth_id")
    run("model", "export", "--model", "m.json")
    run("link", "c.csv", "--ignore", "truth_id", "--model", "m.json", "--out", "o.csv")

    rows = [line.replace('"', "").split(",") for line in Path("o.csv").read_text(encoding="utf-8").splitlines()[1:]]
    linked: dict[str, set[tuple[str, str]]] = {}
    for record_id, source, identity in rows:
        linked.setdefault(identity, set()).add((source, record_id))
    assert partition(client) == {frozenset(group) for group in linked.values()}


def test_bad_rows_are_listed_with_row_and_remedy_and_the_others_are_kept(client: Client, run: Run) -> None:
    Path("c.csv").write_text(
        "id,first_name,surname,dob\n"
        "1,Ann,Smith,1980-01-01\n"
        "2,Bob,Jones,2990-01-01\n"
        "3,Eve,Stone,1990-01-01,extra\n"
        ",Max,Nobody,1970-01-01\n"
        "5,Zoe,Last,1999-09-09\n",
        encoding="utf-8",
    )

    ran = run("load", "c.csv", "--record-id", "id", "--json")

    assert ran.code == 1
    assert (ran.facts["kept"], ran.facts["ragged_rows"], ran.facts["rejected_count"]) == (2, 1, 2)
    rejected = ran.facts["rejected"]
    assert isinstance(rejected, list)
    assert [(r["file"], r["row"]) for r in rejected] == [("c.csv", 3), ("c.csv", 5)]
    assert "dob" in rejected[0]["problem"] or "birth_date" in rejected[0]["problem"]
    assert "source_record_id" in rejected[1]["problem"]
    assert "row 4" in str(ran.facts["ragged"])
    assert {r.source_record_id for r in client.list_records()} == {"1", "5"}


def test_bad_rows_are_told_to_people_too(run: Run) -> None:
    Path("c.csv").write_text("id,first_name,dob\n1,Ann,1980-01-01\n2,Bob,2990-01-01\n", encoding="utf-8")

    ran = run("load", "c.csv", "--record-id", "id")

    assert ran.code == 1
    assert "c.csv, row 3:" in ran.err
    assert "1 row was not kept" in ran.out


def test_a_file_without_record_ids_is_refused_unless_rows_may_be_numbered(client: Client, run: Run) -> None:
    Path("c.csv").write_text("first_name,surname\nAnn,Smith\nBob,Jones\n", encoding="utf-8")

    refused = run("load", "c.csv")
    numbered = run("load", "c.csv", "--number-rows", "--source", "list", "--party", "third")

    assert refused.code == 1
    assert "--record-id" in refused.err
    assert "numbered by their place" not in refused.err
    assert numbered.code == 0
    assert {(r.source, r.source_record_id, Party(r.party)) for r in client.list_records()} == {
        ("list", "1", Party.THIRD),
        ("list", "2", Party.THIRD),
    }


def test_an_unknown_column_is_kept_as_a_free_attribute(client: Client, run: Run) -> None:
    Path("c.csv").write_text("id,surname,shoe size\n1,Smith,42\n2,Jones,43\n3,Stone,42\n", encoding="utf-8")

    run("load", "c.csv", "--record-id", "id", "--source", "crm")

    record = client.get_record(SourceKey("crm", "1")).record
    assert {v.attribute: v.text for v in record.attributes} == {"surname": "Smith", "shoe size": "42"}


def attributes_of(client: Client, source_record_id: str) -> dict[str, str]:
    return {v.attribute: v.text for v in client.get_record(SourceKey("crm", source_record_id)).record.attributes}


def test_what_the_data_model_declares_goes_before_a_guess(client: Client, run: Run) -> None:
    declared = [
        {"name": "member_no", "type": "LOYALTY_ACCOUNT"},
        {"name": "relative", "type": "RELATIONSHIP"},
        {"name": "mail", "type": "FREE"},
    ]
    Path("m.yaml").write_text(yaml.safe_dump({"attributes": declared}), encoding="utf-8")
    lines = [f"{i},Smith{i},M-{i % 7}00{i % 7},sibling:Pat Lee,a{i}@example.org" for i in range(1, 40)]
    Path("c.csv").write_text("\n".join(["id,surname,member_no,relative,mail", *lines]), encoding="utf-8")
    run("model", "update", "m.yaml")

    ran = run("load", "c.csv", "--record-id", "id", "--source", "crm")

    assert ran.code == 0, ran.err
    assert set(attributes_of(client, "1")) == {"surname", "member_no", "relative", "mail"}
    assert "declared in the data model" in ran.err
    assert client.get_identity(identifier=IdentifierKey(SemanticType.LOYALTY_ACCOUNT, "M-3003")).identity.records


def test_what_columns_are_told_to_be_goes_before_the_data_model(client: Client, run: Run) -> None:
    Path("c.csv").write_text("id,surname,gender\n1,Smith,abc\n2,Jones,abd\n", encoding="utf-8")
    Path("columns.yaml").write_text("columns: {id: record_id, surname: surname, gender: occupation}\n", encoding="utf-8")

    run("load", "c.csv", "--columns", "columns.yaml", "--source", "crm")

    assert attributes_of(client, "1") == {"surname": "Smith", "occupation": "abc"}


def test_values_that_could_not_be_read_are_counted_and_kept(client: Client, run: Run) -> None:
    dates = ["1984-02-30", "31/31/1999", "yesterday", "n/a", "", *["03/04/1980"] * 9]
    lines = [f"{i},Smith{i},{date},{'no idea' if i == 1 else f's{i}@example.org'}" for i, date in enumerate(dates)]
    Path("c.csv").write_text("\n".join(["id,surname,birth_date,email", *lines]), encoding="utf-8")

    told, counted = (run("load", "c.csv", "--record-id", "id", "--source", "crm", *how) for how in ([], ["--json"]))

    assert (told.code, counted.code) == (0, 0)
    assert "birth_date: 3 values could not be read; kept as written." in told.err
    assert "yesterday" not in told.out + told.err
    assert counted.facts["unreadable"] == {"birth_date": 3, "email": 1}
    assert attributes_of(client, "2")["birth_date"] == "yesterday"


def test_a_file_says_when_its_records_were_observed(client: Client, run: Run) -> None:
    header = "id,surname,seen\n"
    Path("new.csv").write_text(header + "1,Newer,2024-05-06\n2,Jones,2023-01-02T03:04:05+01:00\n", encoding="utf-8")
    Path("old.csv").write_text(header + "1,Older,2020-05-06\n2,Jones,2020-05-06\n", encoding="utf-8")
    options = ("--record-id", "id", "--source", "crm", "--observed-at", "seen")

    ran = run("load", "new.csv", *options)
    run("load", "old.csv", *options)

    record = client.get_record(SourceKey("crm", "2")).record
    assert ran.code == 0, ran.err
    assert record.observed_at.ToJsonString() == "2023-01-02T02:04:05Z"
    assert attributes_of(client, "1") == {"surname": "Newer"}


@pytest.mark.parametrize(("column", "said"), [("sene", "perhaps seen is meant"), ("seen", "record 2 does not say when")])
def test_a_column_of_times_that_is_none_is_told(column: str, said: str, run: Run) -> None:
    Path("c.csv").write_text("id,surname,seen\n1,Smith,2024-05-06\n2,Jones,once\n", encoding="utf-8")

    ran = run("load", "c.csv", "--record-id", "id", "--observed-at", column)

    assert (ran.code, said in ran.err) == (1, True)


def test_a_source_for_all_and_a_column_of_sources_exclude_each_other(run: Run) -> None:
    Path("c.csv").write_text("id,surname,system\n1,Smith,crm\n", encoding="utf-8")

    ran = run("load", "c.csv", "--record-id", "id", "--source", "crm", "--source-column", "system")

    assert (ran.code, "Give one of them" in ran.err) == (2, True)


def test_records_that_changed_nothing_are_told(run: Run) -> None:
    header = "id,surname,seen\n"
    Path("a.csv").write_text(header + "1,Smith,2024-05-06\n2,Jones,2024-05-06\n", encoding="utf-8")
    Path("b.csv").write_text(header + "1,Smith,2024-05-06\n2,Stone,2024-05-07\n", encoding="utf-8")
    options = ("--record-id", "id", "--source", "crm", "--observed-at", "seen")

    run("load", "a.csv", *options)
    ran = run("load", "b.csv", *options)

    assert "Kept 2 records" in ran.out
    assert "1 of them changed nothing" in ran.out


def test_an_interrupted_load_says_how_to_go_on_and_does(client: Client, run: Run) -> None:
    write_csv(Path("c.csv"), 6_000)
    command = [sys.executable, "-m", "goldenthread.cli.main", "load", "c.csv", "--ignore", "truth_id", "--json"]
    process = subprocess.Popen([*command, "--resume", "c.state"], stderr=subprocess.PIPE, text=True)
    while next(client.list_records(page_size=1), None) is None:
        assert process.poll() is None, "the load ended before it could be interrupted"

    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    state = json.loads(Path("c.state").read_text(encoding="utf-8"))
    # The rest of a large file is beside the point: the first records show that it goes on where it stopped.
    Path("c.state").write_text(json.dumps({**state, "answered": 5_900}), encoding="utf-8")
    ran = run("load", "c.csv", "--ignore", "truth_id", "--json", "--resume", "c.state")

    assert process.returncode == 1
    assert "--resume c.state" in said
    assert state["answered"] < 6_000
    assert ran.code == 0
    assert (ran.facts["answered_before"], ran.facts["kept"]) == (5_900, 100)
    assert not Path("c.state").exists()


def test_a_load_that_is_killed_goes_on_from_what_it_kept_while_it_ran(client: Client, run: Run) -> None:
    write_csv(Path("c.csv"), 6_000)
    command = [sys.executable, "-m", "goldenthread.cli.main", "load", "c.csv", "--ignore", "truth_id", "--chunk", "10"]
    process = subprocess.Popen([*command, "--resume", "c.state"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not Path("c.state").exists():
        assert process.poll() is None, "the load ended before it could be killed"

    process.kill()
    process.wait()
    answered = json.loads(Path("c.state").read_text(encoding="utf-8"))["answered"]

    assert 0 < answered < 6_000
    assert sum(1 for _ in client.list_records(page_size=1000)) >= answered


def test_ids_that_became_decimals_are_told(run: Run) -> None:
    Path("c.csv").write_text("id,surname\n1.0,Smith\n2.0,Jones\n", encoding="utf-8")

    ran = run("load", "c.csv", "--record-id", "id")

    assert (ran.code, "end in .0" in ran.err) == (0, True)


def test_a_state_of_another_load_is_refused(run: Run) -> None:
    write_csv(Path("c.csv"), 10)
    Path("c.state").write_text('{"load": "other", "answered": 3}', encoding="utf-8")

    ran = run("load", "c.csv", "--ignore", "truth_id", "--resume", "c.state")

    assert ran.code == 1
    assert "other files" in ran.err
