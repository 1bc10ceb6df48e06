"""Metrics of the store and the caches."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from goldenthread.graph.errors import RevisionUnknown
from goldenthread.graph.model import Node, NodeKind
from goldenthread.graph.store import ChangeSet, Transaction
from goldenthread.graph.stores.sqlite import open_store
from goldenthread.server.metrics import MeteredStore, Metrics


def text_of(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


async def put_a_source(transaction: Transaction) -> str:
    await transaction.nodes([b"s" * 16])
    source = Node(NodeKind.SOURCE, b"s" * 16, {"name": "crm", "party": 2})
    await transaction.apply(ChangeSet(put_nodes=[source]))
    return "done"


async def test_a_commit_is_timed_and_its_revision_shown(tmp_path: Path) -> None:
    metrics = Metrics()
    store = MeteredStore(await open_store(f"sqlite:///{tmp_path}/graph"), metrics)

    result = await store.write("acme", 1, put_a_source)
    await store.close()

    assert result == "done"
    assert 'goldenthread_revision{tenant="acme"} 1.0' in text_of(metrics)
    assert 'goldenthread_store_seconds_count{operation="write"} 1.0' in text_of(metrics)


async def test_a_read_that_fails_is_counted_by_its_error(tmp_path: Path) -> None:
    metrics = Metrics()
    store = MeteredStore(await open_store(f"sqlite:///{tmp_path}/graph"), metrics)

    with pytest.raises(RevisionUnknown):
        async with store.reader("acme", revision=7):
            pass
    await store.close()

    assert 'goldenthread_store_errors_total{error="RevisionUnknown",operation="read"} 1.0' in text_of(metrics)


def test_look_ups_in_caches_are_read_when_asked() -> None:
    metrics = Metrics()
    counts = {"profiles": (0, 0)}
    metrics.watch_caches(lambda: counts)

    counts["profiles"] = (3, 1)

    assert 'goldenthread_cache_total{cache="profiles",outcome="hit"} 3.0' in text_of(metrics)
    assert 'goldenthread_cache_total{cache="profiles",outcome="miss"} 1.0' in text_of(metrics)


async def test_a_write_that_has_begun_is_not_cut_off_by_its_caller_and_closing_waits_for_it(tmp_path: Path) -> None:
    store = MeteredStore(await open_store(f"sqlite:///{tmp_path}/graph"), Metrics())
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: Transaction) -> None:
        begun.set()
        await go_on.wait()
        await put_a_source(transaction)

    caller = asyncio.create_task(store.write("acme", 1, slow))
    await begun.wait()
    caller.cancel()
    await asyncio.wait([caller])
    go_on.set()
    await store.close()

    reopened = await open_store(f"sqlite:///{tmp_path}/graph")
    async with reopened.reader("acme") as reader:
        revision = reader.revision.number
    await reopened.close()
    assert (caller.cancelled(), revision) == (True, 1)


def test_a_subscription_that_is_gone_is_shown_no_more() -> None:
    metrics = Metrics()
    metrics.subscription_lags("acme", {"crm": (3, 1.5), "warehouse": (0, 0.0)})

    metrics.subscription_lags("acme", {"crm": (4, 2.5)})

    text = text_of(metrics)
    assert 'goldenthread_subscription_lag_revisions{subscription="crm",tenant="acme"} 4.0' in text
    assert 'goldenthread_subscription_lag_seconds{subscription="crm",tenant="acme"} 2.5' in text
    assert "warehouse" not in text
