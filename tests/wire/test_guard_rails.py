"""Guard rails over the wire: whatever order they and records come in, identities are what one bulk run would make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import pytest
from wire.conftest import StartServer, new_tenant
from wire.partitions import difference, linked_partition, partition_of
from wire.serving import RunningServer

from goldenthread.cli.guards import guard_rails_message
from goldenthread.client import Client, GuardRails, IdentifierKey, Record, SemanticType
from goldenthread.client.errors import InvalidField, NotFound, PermissionDenied, RequestIdReused
from goldenthread.resolver import guards
from goldenthread.resolver.scoring import MatchModel

Customers = Callable[[int], list[Record]]

ANN = {"given_name": "Ann", "surname": "Müller", "birth_date": "1980-02-29", "email": "ann@example.org"}


def rails_of(records: Sequence[Record], rng: Random) -> guards.GuardRails:
    """Declare something of the sources and values that there are."""
    sources = sorted({record.source for record in records})
    phones = [str(record.attributes["phone"]) for record in records if record.attributes.get("phone")]
    return guards.GuardRails(
        duplicate_free=tuple(rng.sample(sources, rng.randrange(len(sources)))),
        never_overlap=(tuple(rng.sample(sources, 2)),) if rng.random() < 0.5 else (),
        verifying=tuple(rng.sample(sources, rng.randrange(len(sources)))),
        single_numbers=("national_id",) if rng.random() < 0.5 else (),
        blocked=tuple(guards.BlockedValue("phone", phone) for phone in set(rng.sample(phones, 5))),
        limits=(guards.IdentifierLimit("email", rng.randint(1, 2), rng.choice([0, 30])), guards.IdentifierLimit("phone", 1)),
        priority=("phone",) if rng.random() < 0.5 else (),
    )


@pytest.mark.parametrize("seed", range(2))
def test_guard_rails_and_records_in_any_order_give_the_partition_that_link_gives(
    make_server: StartServer, store_kind: str, store_url: str, customers: Customers, tmp_path: Path, seed: int
) -> None:
    model = msgspec.structs.replace(MatchModel.shipped(), generic_limit=4)
    (tmp_path / "model.json").write_bytes(model.to_json())
    server = make_server(store=store_url, match_model=str(tmp_path / "model.json"))
    rng = Random(seed)
    records = customers(500 if store_kind == "sqlite" else 150)
    rng.shuffle(records)
    plans = [rails_of(records, rng) for _ in range(3)]

    with server.client(tenant=new_tenant()) as client:
        data_model = client.get_data_model()
        for step, rails in enumerate(plans):
            part = records[step :: len(plans)]
            job = client.update_guard_rails(guard_rails_message(rails)).job
            for result in client.upsert_stream(part, records_per_chunk=rng.choice([7, 40])):
                assert result.error is None
            if step % 2:
                client.wait_job(job.name, timeout_seconds=60)
        client.wait_drained(timeout_seconds=60)

        assert difference(partition_of(client), linked_partition(records, data_model, model, plans[-1])) == [[], []]
        free = guards.GuardRails()
        client.update_guard_rails(guard_rails_message(free))
        client.wait_drained(timeout_seconds=60)
        assert difference(partition_of(client), linked_partition(records, data_model, model, free)) == [[], []]


def test_a_source_declared_free_of_duplicates_comes_apart_and_together_again(client: Client) -> None:
    first, second = (client.upsert_record(Record("crm", id, ANN)).identity for id in ("1", "2"))
    other = client.upsert_record(Record("shop", "3", ANN)).identity
    rails = guard_rails_message(guards.GuardRails(duplicate_free=("crm",)))

    effect = client.update_guard_rails(rails, validate_only=True).effect
    answer = client.update_guard_rails(rails)
    client.wait_drained(timeout_seconds=60)
    apart = {record.source_record_id: record.identity for record in client.list_records()}
    counts = {one.guard: one.count for one in client.get_guard_counts().counts}
    told = client.explain_match(apart["1"], apart["2"]).separation
    client.update_guard_rails(guard_rails_message(guards.GuardRails()))
    client.wait_drained(timeout_seconds=60)

    assert first == second == other
    assert (effect.identities_split, effect.identities_before, effect.identities_after) == (1, 1, 2)
    assert answer.job.is_deferred
    assert apart["1"] == apart["3"] != apart["2"]
    assert (told.by, told.guard, told.subject) == ("veto", "duplicate_free", "crm")
    assert counts["duplicate_free"] >= 1
    assert {record.identity for record in client.list_records()} == {first}


def test_a_value_that_is_blocked_is_no_identifier_and_is_kept_as_a_digest(client: Client) -> None:
    client.upsert_record(Record("crm", "1", ANN))
    blocked = guards.GuardRails(blocked=(guards.BlockedValue("email", " Ann@Example.org"),))

    client.update_guard_rails(guard_rails_message(blocked))
    client.wait_drained(timeout_seconds=60)
    client.upsert_record(Record("crm", "2", {"email": "ann@example.org", "surname": "Jones"}))
    kept = client.get_guard_rails().guard_rails

    assert [(SemanticType(one.type), one.value, len(one.digest)) for one in kept.blocked] == [(SemanticType.EMAIL, "", 32)]
    assert client.update_guard_rails(kept).guard_rails == kept
    assert list(client.resolve_record({"email": "ann@example.org"}).candidates) == []
    with pytest.raises(NotFound):
        client.get_identity(identifier=IdentifierKey(SemanticType.EMAIL, "ann@example.org"))


def test_an_identity_too_large_is_counted_and_stays(client: Client) -> None:
    client.update_guard_rails(guard_rails_message(guards.GuardRails(max_records=2)))
    client.wait_drained(timeout_seconds=60)  # else what comes meanwhile may be linked again, and counted again

    identities = {client.upsert_record(Record("crm", str(i), ANN)).identity for i in range(3)}

    assert len(identities) == 1
    assert {one.guard: one.count for one in client.get_guard_counts().counts}["identity_size"] == 1


def test_a_limit_parts_an_identity_counts_it_and_lists_it_for_review_and_days_matter(client: Client) -> None:
    ages_ago, now = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 6))
    for number, seen in (("1001", ages_ago), ("2002", now)):
        client.upsert_record(Record("crm", number, {**ANN, "loyalty_account": number}, observed_at=seen))
    limits = [guards.IdentifierLimit("loyalty_account", 1, days) for days in (30, 0)]

    def identities(limit: guards.IdentifierLimit | None) -> dict[str, str]:
        client.update_guard_rails(guard_rails_message(guards.GuardRails(limits=(limit,) if limit is not None else ())))
        client.wait_drained(timeout_seconds=60)
        return {record.source_record_id: record.identity for record in client.list_records()}

    within_days = identities(limits[0])
    # Said again, and nothing else than when: now both were seen within the days.
    client.upsert_record(Record("crm", "1001", {**ANN, "loyalty_account": "1001"}, observed_at=now))
    seen_again = {record.source_record_id: record.identity for record in client.list_records()}
    ever = identities(limits[1])
    told = client.explain_match(ever["1001"], ever["2002"]).separation
    counts = {one.guard: one.count for one in client.get_guard_counts().counts}
    (item,) = client.list_review_items()
    free = identities(None)

    assert len(set(within_days.values())) == len(set(free.values())) == 1
    assert len(set(seen_again.values())) == len(set(ever.values())) == 2
    assert (told.by, told.guard, told.subject) == ("limit", "loyalty_account_limit", "loyalty_account")
    assert counts["loyalty_account_limit"] >= 2
    assert item.kept_apart_by == "limit"


def test_a_repeated_update_is_answered_with_its_job(client: Client) -> None:
    rails = guard_rails_message(guards.GuardRails(duplicate_free=("crm",)))

    first = client.update_guard_rails(rails, request_id="same")
    again = client.update_guard_rails(rails, request_id="same")

    assert first.job.name == again.job.name
    with pytest.raises(RequestIdReused):
        client.update_guard_rails(GuardRails(), request_id="same")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (GuardRails(single_numbers=[SemanticType.EMAIL]), "guard_rails"),  # type: ignore[list-item]  # an enum of equal values
        (guard_rails_message(guards.GuardRails(blocked=(guards.BlockedValue("email", "nonsense"),))), "blocked[0]"),
    ],
)
def test_what_is_wrong_is_said(client: Client, wrong: GuardRails, field: str) -> None:
    with pytest.raises(InvalidField, match="can't be") as failed:
        client.update_guard_rails(wrong)

    assert field in str(failed.value)
    assert "nonsense" not in str(failed.value)


def test_only_administrators_change_guard_rails(server: RunningServer) -> None:
    with server.client("writer") as writer, pytest.raises(PermissionDenied):
        writer.update_guard_rails(GuardRails())
