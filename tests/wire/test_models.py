"""Models in production: learned from a tenant's records, measured, previewed, activated and rolled back, whatever is killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from msgspec.structs import replace
from wire.conftest import StartServer, new_tenant
from wire.partitions import Partition, difference, linked_partition, partition_of
from wire.serving import RunningServer

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import SimulatedRecord, simulate_records
from goldenthread.client import Client, GoldenThreadError, JobState, ModelState, PairLabel, Record, SourceKey
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.scoring import WEIGHT_SCALE, MatchModel


def loose() -> MatchModel:
    """A model that links more than the shipped one, on other keys and limits."""
    shipped = MatchModel.shipped()
    rules = (*shipped.rules, BlockingRule("surname_postcode", ("surname", "postcode")))
    return replace(
        shipped, name="loose", rules=rules, link_weight=-1 * WEIGHT_SCALE, min_average=-2 * WEIGHT_SCALE, generic_limit=9
    )


def put(client: Client, records: Sequence[Record]) -> None:
    for result in client.upsert_stream(records, records_per_chunk=100):
        assert result.error is None


def bulk(client: Client, records: Sequence[Record], model: MatchModel) -> Partition:
    return linked_partition(records, client.get_data_model(), model)


def labels_of(simulated: Sequence[SimulatedRecord]) -> list[PairLabel]:
    """Label neighbours in the list, of which many are one person, and records far from each other, which are not."""
    pairs = [(i, i + 1) for i in range(len(simulated) - 1)] + [(i, (i * 7 + 50) % len(simulated)) for i in range(100)]
    keys = [SourceKey(one.source, one.record_id) for one in simulated]
    return [(keys[a], keys[b], simulated[a].person == simulated[b].person) for a, b in pairs if a != b]


def ended(client: Client, name: str) -> dict[str, object]:
    """Wait for a job that must succeed, and read what came of it."""
    job = client.wait_job(name, timeout_seconds=120)
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    return json.loads(job.result) if job.result else {}


def test_a_model_is_learned_measured_previewed_activated_and_rolled_back(client: Client) -> None:
    simulated = list(simulate_records(500))
    records = [to_record(one) for one in simulated]
    put(client, records)
    labels = labels_of(simulated)
    first = next(client.list_models())
    before = partition_of(client)

    trained = ended(client, client.train_model(labels, display_name="ours").name)
    version = str(trained["version"])
    measured = ended(client, client.evaluate_model(version, labels).name)["assessment"]
    ended(client, client.stage_model(version).name)
    preview_job = client.preview_activation(version).name
    preview = ended(client, preview_job)
    listed = list(client.list_activation_changes(preview_job, page_size=3))
    still = partition_of(client)
    ended(client, client.activate_model(version).name)
    after = partition_of(client)
    model = MatchModel.from_json(client.get_match_model().artefact)
    states = {one.version: one.state for one in client.list_models()}
    ended(client, client.rollback_model().name)

    assert (first.state, first.origin) == (ModelState.MODEL_STATE_ACTIVE, "given")
    assert still == before
    assert difference(after, bulk(client, records, model)) == [[], []]
    assert model.version == version
    assert states == {first.version: ModelState.MODEL_STATE_KEPT, version: ModelState.MODEL_STATE_ACTIVE}
    assert isinstance(measured, dict)
    assert 0.9 < measured["f1"] <= measured["f1_high"] <= 1.0
    assert measured["labels"] == len({frozenset(pair[:2]) for pair in labels})
    card = json.loads(client.get_model(version).card)
    assert (card["model"], card["records"]) == ("ours", 500)
    assert (preview["identities"], preview["identities_after"]) == (len(before), len(after))
    assert preview["changes"] == len(listed)
    assert sum(len(change.identities) for change in listed) == len(before - after)
    assert sum(len(change.parts) for change in listed) == len(after - before)
    assert partition_of(client) == before


def test_what_changes_models_refuses_what_makes_no_sense(client: Client) -> None:
    model = client.create_model(loose().to_json())
    active = next(client.list_models()).version

    refused = []
    for call in (
        lambda: client.activate_model(active),
        lambda: client.stage_model(active),
        lambda: client.preview_activation(model.version),
        client.rollback_model,
        lambda: client.activate_model("0" * 16),
        lambda: client.create_model(b"{}"),
        lambda: client.activate_model("tenants/other/models/" + "0" * 16),
    ):
        with pytest.raises(GoldenThreadError) as error:
            call()
        refused.append(error.value.code)

    precondition = grpc.StatusCode.FAILED_PRECONDITION
    assert refused[:4] == [precondition] * 4
    assert refused[4:] == [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND]
    assert client.create_model(loose().to_json()).version == model.version
    assert len(list(client.list_models())) == 2


def test_a_job_of_models_is_listed_and_can_be_cancelled_and_resumed(make_server: StartServer) -> None:
    server = make_server(job_workers=0)
    with server.client() as client:
        put(client, [to_record(one) for one in simulate_records(40)])
        model = client.create_model(loose().to_json())
        job = client.stage_model(model.version)

        with pytest.raises(GoldenThreadError) as busy:
            client.activate_model(model.version)
        open_jobs = [one.name for one in client.list_jobs(only_open=True)]
        cancelled = client.cancel_job(job.name)
        resumed = client.resume_job(job.name)

    assert busy.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert open_jobs == [job.name]
    assert cancelled.state == JobState.JOB_STATE_CANCELLED
    assert resumed.state == JobState.JOB_STATE_QUEUED
    assert (job.type, job.requested_by) == ("stage-model", "tester")


def kill_while_activating(server: RunningServer, records: Sequence[Record], kills: int) -> None:
    """Activate a model on a server that is killed again and again, while records come in."""
    half = len(records) // 2
    with server.client() as client:
        put(client, records[:half])
        version = client.create_model(loose().to_json()).version
        job = client.activate_model(version).name
    share = (len(records) - half) // (kills + 1)
    done, at = 0, half
    for _ in range(kills):
        with server.client() as client:
            for seen in client.watch_job(job, look_seconds=0.02):
                if seen.done > done:
                    break
            done = seen.done
            put(client, records[at : at + share])
        at += share
        server.kill()
        server.start()
    with server.client() as client:
        put(client, records[at:])
        assert client.wait_job(job, timeout_seconds=120).state == JobState.JOB_STATE_SUCCEEDED
        assert difference(partition_of(client), bulk(client, records, loose())) == [[], []]
        assert client.wait_drained(timeout_seconds=120)


def test_an_activation_that_is_killed_goes_on_where_it_was(make_server: StartServer) -> None:
    kill_while_activating(make_server(job_lease_seconds=1), [to_record(one) for one in simulate_records(2400)], kills=6)


@pytest.mark.neo4j
def test_an_activation_that_is_killed_goes_on_where_it_was_on_neo4j(make_server: StartServer, neo4j_store: str) -> None:
    server = make_server(store=neo4j_store, job_lease_seconds=1, job_look_seconds=0.2)

    kill_while_activating(server, [to_record(one) for one in simulate_records(900)], kills=2)


@pytest.mark.neo4j
def test_a_server_notices_what_another_activates(make_server: StartServer, neo4j_store: str) -> None:
    one = make_server(store=neo4j_store, tenant=new_tenant())
    other = make_server(store=neo4j_store, tenant=one.tenant, data=str(one.data), job_workers=0)
    records = [to_record(simulated) for simulated in simulate_records(900)]
    with one.client() as first, other.client() as second:
        put(first, records[:300])
        put(second, records[300:350])
        job = first.activate_model(first.create_model(loose().to_json()).version).name
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(put, (first, second), (records[350:600], records[600:850])))
        ended(first, job)
        put(second, records[850:])

        assert difference(partition_of(second), bulk(second, records, loose())) == [[], []]


def test_a_model_that_cannot_be_learned_says_why(client: Client) -> None:
    put(client, [to_record(one) for one in simulate_records(1)])
    key = SourceKey("crm", "nobody")

    unlabelled = client.wait_job(client.train_model().name, timeout_seconds=60)
    measured = client.wait_job(
        client.evaluate_model(next(client.list_models()).version, [(key, key, True)]).name, timeout_seconds=60
    )

    assert {unlabelled.state, measured.state} == {JobState.JOB_STATE_FAILED}
    assert "fewer than two distinct records" in unlabelled.error
    assert "no labelled pair" in measured.error
