"""Every command that asks a server, against a real one with a few hundred simulated customers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from command_line import Ran, Run, facts, run_main

from goldenthread.cli.demo import simulate_records
from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.server import OwnServer, start_server
from goldenthread.client import Client


@dataclass(frozen=True)
class World:
    """A server with customers; `pair` are the keys of two records of one identity, `stranger` one of another."""

    server: OwnServer
    data: Path
    pair: tuple[str, str]
    stranger: str
    identity: str
    email: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("world") / "data"
    server = start_server(data, "127.0.0.1:0")
    try:
        with Client(server.address, token=server.token) as client:
            client.upsert_records(to_record(simulated) for simulated in simulate_records(400))
            largest = max(client.list_identities(), key=lambda identity: len(identity.records))
            records = [client.get_record(name).record for name in largest.records]
            with_email = next(r for r in client.list_records() if any(v.attribute == "email" for v in r.attributes))
            others = (r for r in client.list_records() if r.identity not in (largest.name, with_email.identity))
            stranger = next(r for r in others if any(v.attribute == "surname" for v in r.attributes))
        keys = [f"{r.source}:{r.source_record_id}" for r in records]
        email = next(v.text for v in with_email.attributes if v.attribute == "email")
        yield World(server, data, (keys[0], keys[1]), f"{stranger.source}:{stranger.source_record_id}", largest.name, email)
    finally:
        server.stop()


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOLDENTHREAD_SERVER", world.server.address)
    monkeypatch.setenv("GOLDENTHREAD_DATA", str(world.data))

    def run(*arguments: str | Path) -> Ran:
        return run_main(capsys, arguments)

    return run


def test_a_record_is_shown_by_its_sources_own_id(world: World, run: Run) -> None:
    shown, read = run("record", world.pair[0]), run("record", world.pair[0], "--history", "--json")

    source, _, record_id = world.pair[0].partition(":")
    assert shown.code == read.code == 0
    assert record_id in shown.out
    assert facts(read.facts["record"])["source"] == source


def test_an_identity_is_found_by_name_record_source_and_email(world: World, run: Run) -> None:
    short = world.identity.rpartition("/")[2]

    found = [run("identity", key, "--json") for key in (world.identity, f"identities/{short}", short, *world.pair)]

    assert {str(facts(ran.facts["identity"])["name"]) for ran in found} == {world.identity}
    assert run("identity", world.email).code == run("identity", f"email={world.email}").code == 0
    assert world.pair[0].partition(":")[2] in run("identity", short).out


def test_lists_are_cut_at_their_limit(run: Run) -> None:
    assert len(run("identities", "--limit", "7", "--json").items) == 7
    assert len(run("records", "--limit", "7", "--source", "crm", "--json").items) == 7
    assert all(len(str(i["records"]).split(",")) >= 3 for i in run("identities", "--min-records", "3", "--json").items)
    assert run("identities").code == run("records").code == 0


def test_a_list_that_was_cut_says_that_there_is_more(run: Run) -> None:
    cut, whole = run("identities", "--limit", "7"), run("records", "--limit", "1000")

    assert "There are more than these 7; --limit" in cut.err
    assert whole.err == ""


def test_who_is_looked_up_by_what_identifies_nobody_is_told_why(world: World, run: Run) -> None:
    assert "one that stands for nobody" in run("identity", "nobody@example.org").err
    assert run("identity", "given_name=Ann").code == 2
    assert "32 hexadecimal digits" in run("identity", "7f3a").err
    assert "'hello' names nobody" in run("identity", "hello").err
    assert "the same single record" in run("why", world.pair[0], world.pair[0]).err


def test_what_is_no_cursor_is_told(run: Run) -> None:
    assert "is no cursor" in run("events", "list", "--cursor", "abc").err
    assert run("events", "ack", "warehouse", "2").code == 0
    assert "it stays at 2" in run("events", "ack", "warehouse", "1").err


def test_a_misspelt_attribute_of_a_search_is_told(world: World, run: Run) -> None:
    ran = run("resolve", f"emial={world.email}")

    assert ran.code == 0
    assert "perhaps email is meant" in ran.err


def test_a_value_of_a_search_that_can_not_be_read_is_told(run: Run) -> None:
    ran = run("resolve", "birth_date=rubbish", "surname=Smith", "email=ann@example.org")

    assert ran.code == 0
    assert "What birth_date says could not be read" in ran.err
    assert "rubbish" not in ran.err
    assert ran.err.count("warning") == 1


def test_an_attribute_that_can_not_be_exported_is_named(run: Run) -> None:
    ran = run("golden", "export", "--out", "g.csv", "--attribute", "email", "--attribute", "nosuch")

    assert (ran.code, "nosuch" in ran.err) == (1, True)


def test_why_adds_up_and_says_so(world: World, run: Run) -> None:
    shown, read = run("why", *world.pair), run("why", *world.pair, "--json")

    match = facts(read.facts["match"])
    contributions = match["contributions"]
    assert isinstance(contributions, list)
    total = float(str(match.get("prior", 0))) + sum(float(c.get("weight", 0)) for c in contributions)
    assert shown.code == 0
    assert "They are one identity." in shown.out
    assert total == pytest.approx(float(str(match["weight"])), abs=1e-6)


def test_why_not_is_told_too(world: World, run: Run) -> None:
    assert "They are not one identity." in run("why", world.pair[0], world.stranger).out


def test_how_tells_every_step(world: World, run: Run) -> None:
    shown, read = run("how", world.identity), run("how", world.pair[0], "--json")

    steps = read.facts["steps"]
    assert isinstance(steps, list)
    assert shown.code == 0
    assert f"{len(steps)}. " in shown.out


def test_a_golden_record_names_the_source_of_each_value(world: World, run: Run) -> None:
    shown, read = run("golden", world.identity, "--losers"), run("golden", world.identity, "--json")

    assert shown.code == read.code == 0
    assert world.pair[0].partition(":")[0] in shown.out
    assert facts(read.facts["golden_record"])["attributes"]


def test_survivorship_rules_are_written_previewed_and_replaced(world: World, run: Run, tmp_path: Path) -> None:
    file, bad = tmp_path / "rules.yaml", tmp_path / "bad.yaml"
    file.write_text("rules: [{name: longest, attributes: [city], criteria: [longest]}]\n")
    bad.write_text("rules: [{name: longest, criteria: [largest]}]\n")

    empty, dry = run("golden", "rules"), run("golden", "update-rules", file, "--dry-run", "--json")
    misspelt = tmp_path / "misspelt.yaml"
    misspelt.write_text("purposes: [{purpose: advertising, forbidden_attributes: [birthdate]}]\n")
    updated, written = run("golden", "update-rules", file), run("golden", "rules", "--out", tmp_path / "now.yaml")

    assert "the data model decides" in empty.out
    assert "perhaps birth_date is meant" in run("golden", "update-rules", misspelt, "--dry-run").err
    assert dry.facts["sampled"]
    assert (updated.code, written.code, run("golden", "update-rules", bad).code) == (0, 0, 1)
    assert yaml.safe_load((tmp_path / "now.yaml").read_text())["rules"][0]["criteria"] == ["longest"]
    assert "none so far" in run("golden", world.identity, "--purpose", "advertising").err


@pytest.mark.parametrize("command", [("golden", "update-rules"), ("guards", "update")])
def test_an_empty_file_does_not_lift_all_rules(command: tuple[str, str], run: Run, tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.touch()

    ran = run(*command, file)

    assert (ran.code, "is empty" in ran.err) == (1, True)


def test_guard_rails_are_written_tried_replaced_and_counted(world: World, run: Run, tmp_path: Path) -> None:
    file, bad, source = tmp_path / "rails.yaml", tmp_path / "bad.yaml", world.pair[0].partition(":")[0]
    bad.write_text("duplicate_fre: [crm]\n")

    shown = run("guards", "show")
    file.write_text(yaml.safe_dump({**yaml.safe_load(shown.out), "max_records": 1}))
    tried, updated = run("guards", "update", file, "--dry-run", "--json"), run("guards", "update", file, "--wait", "--json")
    counted = run("guards", "counts", "--json")
    file.write_text(f"duplicate_free: [{source}]\n")
    tried_too = run("guards", "update", file, "--dry-run")

    assert (shown.code, tried.code, updated.code, tried_too.code) == (0, 0, 0, 0)
    assert facts(tried.facts["effect"])["identities_before"] == facts(tried.facts["effect"])["identities_after"]
    assert facts(updated.facts["job"])["state"] == "JOB_STATE_SUCCEEDED"
    assert {"guard": "identity_size"}.items() <= facts(counted.facts["counts"][2]).items()  # type: ignore[index]  # a list
    assert "would come apart" in tried_too.out
    assert (run("guards", "update", bad).code, run("guards", "update", file, "--dry-run", "--wait").code) == (1, 2)


def test_households_are_shown_listed_and_told_over_time(world: World, run: Run) -> None:
    listed = run("households", "--limit", "3", "--json").items
    first = listed[0]
    members = first["members"]
    assert isinstance(members, list)

    shown, named = run("household", str(members[0])), run("household", str(first["name"]), "--json")
    history = run("household", str(members[0]), "--history", "--json").items

    assert len(listed) == 3
    assert (shown.code, named.items) == (0, [first])
    assert str(first["reason"]) in shown.out
    assert first["name"] in [one["household"] for one in history]
    assert run("households").code == run("household", str(members[0]), "--history").code == 0


def test_relationships_are_shown_where_they_are_stated(world: World, run: Run) -> None:
    assert "No relationship is stated." in run("relationships", world.identity).out
    assert run("relationships", world.identity, "--json").items == []


def test_exploring_walks_from_a_person_and_leaves_sources_out(world: World, run: Run) -> None:
    shown, read = run("explore", world.pair[0], "--hops", "3"), run("explore", world.identity, "--json")

    nodes = read.facts["nodes"]
    assert isinstance(nodes, list)
    assert shown.code == 0
    assert "RESOLVED_TO" in shown.out
    assert "NODE_KIND_SOURCE" not in {node["kind"] for node in nodes}
    assert run("explore", world.identity, "--kind", "spaceship").code == 2


def test_a_path_leads_from_one_record_to_the_other(world: World, run: Run) -> None:
    shown, read = run("path", *world.pair), run("path", *world.pair, "--json")

    nodes = read.facts["nodes"]
    assert isinstance(nodes, list)
    assert shown.code == 0
    assert len(nodes) >= 2


def test_households_come_with_their_reason(world: World, run: Run) -> None:
    assert run("household", world.identity).code == 0
    assert run("household", world.pair[0], "--json").code == 0


def test_somebody_is_resolved_without_being_stored(world: World, run: Run) -> None:
    before = len(run("records", "--limit", "1000", "--json").items)

    shown = run("resolve", f"email={world.email}", "given_name=Nobody")
    read = run("resolve", f"email={world.email}", "--limit", "2", "--json")

    assert shown.code == read.code == 0
    assert len(run("records", "--limit", "1000", "--json").items) == before


def test_a_steward_splits_and_merges_and_asks_first(world: World, run: Run) -> None:
    asked = run("split", world.identity, world.pair[1], "--reason", "test", "--dry-run", "--json")
    done = run("split", world.identity, world.pair[1], "--reason", "test")
    apart = run("why", *world.pair).out
    merged = run("merge", *world.pair, "--reason", "test", "--json")
    together = run("why", *world.pair).out

    assert asked.code == done.code == merged.code == 0
    assert "decision" not in asked.facts
    assert "They are not one identity." in apart
    assert "They are one identity." in together


def test_a_steward_decides_lists_and_undoes(world: World, run: Run) -> None:
    linked = run("decisions", "link", world.pair[0], world.stranger, "--reason", "same passport", "--json")
    name = linked.facts["decision"]["name"]  # type: ignore[index]  # the answer holds the decision
    shown = run("decisions", "show", str(name))
    listed = run("decisions", "list", "--identity", world.stranger, "--kind", "must_link", "--json").items
    strangers = (world.pair[0], world.stranger)
    apart = run("decisions", "unlink", *strangers, "--reason", "twins", "--expires", "2999-01-01", "--dry-run")
    asked = run("decisions", "undo", str(name), "--reason", "no", "--dry-run")
    undone = run("decisions", "undo", str(name), "--reason", "no")
    history = run("lineage", world.stranger)

    assert linked.code == shown.code == asked.code == undone.code == apart.code == history.code == 0
    assert "same passport" in shown.out
    assert [one["name"] for one in listed] == [name]
    assert "What would change" in asked.out
    assert "What changed" in undone.out
    assert "What would change" in apart.out
    assert "undo" in history.out
    assert run("decisions", "list", "--state", "undone", "--json").items[0]["name"] == name
    assert run("decisions", "list", "--state", "odd").code == run("decisions", "list", "--kind", "odd").code == 2
    assert run("decisions", "pin", world.stranger, "surname", "--reason", "checked").code == 0


def test_a_deleted_record_is_gone(world: World, run: Run) -> None:
    deleted, after = run("delete", world.stranger, "--yes", "--json"), run("record", world.stranger)

    assert deleted.code == 0
    assert after.code == 1
    assert after.err.startswith("error: ")


def test_models_are_shown_exported_changed_and_read_back(run: Run) -> None:
    exported = run("model", "export", "--data-model", "d.yaml", "--model", "m.json", "--json")
    model = yaml.safe_load(Path("d.yaml").read_text(encoding="utf-8"))
    model["attributes"].append({"name": "shoe_size", "type": "free", "cardinality": "one"})
    model["attributes"].append({"name": "fax", "type": "phone"})
    Path("d.yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    updated = run("model", "update", "d.yaml")
    Path("none.yaml").write_text("attributes: []", encoding="utf-8")
    removed = run("model", "update", "none.yaml", "--remove", "fax")

    assert exported.code == updated.code == removed.code == 0
    assert "reads all records again" in removed.out
    assert "shoe_size" in run("model", "show").out
    assert "fax" not in run("model", "show").out
    assert Path("m.json").read_bytes().startswith(b"{")


def test_an_exported_data_model_starts_another_server(run: Run, tmp_path: Path) -> None:
    run("model", "export", "--data-model", "d.yaml")

    import msgspec

    from goldenthread.graph.model import DataModel

    read = msgspec.yaml.decode(Path("d.yaml").read_bytes(), type=DataModel)
    assert len(read.attributes) > 20


@pytest.mark.parametrize(
    "text", ["nonsense: [", "attributes: 3", "attributes:\n  - type: email", "attributes:\n  - {name: x, type: y}"]
)
def test_a_damaged_data_model_is_told(text: str, run: Run) -> None:
    Path("d.yaml").write_text(text, encoding="utf-8")

    ran = run("model", "update", "d.yaml")

    assert ran.code == 1
    assert "d.yaml" in ran.err


def test_the_doctor_finds_all_well(run: Run) -> None:
    ran = run("doctor", "--json")

    assert ran.code == 0, ran.out
    assert {str(f["check"]) for f in ran.items} >= {"python", "key file", "disk", "token", "server", "health", "access"}


def test_an_unknown_identity_is_one_sentence(run: Run) -> None:
    ran = run("identity", "0" * 31 + "a")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1


def test_a_wrong_token_says_where_to_put_the_right_one(run: Run) -> None:
    ran = run("identities", "--token", "x.y.z")

    assert ran.code == 1
    assert "--token" in ran.err


def test_the_past_is_read_by_revision_and_time(world: World, run: Run) -> None:
    assert run("record", world.pair[0], "--as-of", "1990-01-01").code == 1
    assert run("record", world.pair[0], "--as-of", "2999-01-01").code in (0, 1)
