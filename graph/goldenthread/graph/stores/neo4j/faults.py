"""Turn the driver's errors into the graph's, so that none leaves this store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConstraintError,
    DriverError,
    Neo4jError,
)

from goldenthread.graph.errors import Conflict, GraphError, StoreFull, StoreUnavailable

__all__ = ["STORE", "translate", "translated"]

STORE = "neo4j"


def translate(error: Neo4jError | DriverError | OSError) -> GraphError:
    """Say in the graph's words what the driver said; server messages are left out, for they may quote values."""
    if isinstance(error, AuthError):
        return StoreUnavailable(STORE, "it refuses the user or password; check the URL and GOLDENTHREAD_NEO4J_PASSWORD")
    if isinstance(error, ConfigurationError):
        return StoreUnavailable(STORE, "its URL or settings are wrong; it is neo4j://host:port or bolt://host:port")
    if isinstance(error, ConstraintError):
        return Conflict(STORE)  # another writer made the same node first
    if isinstance(error, Neo4jError):
        code = error.code or "unknown"
        if _is_full(error):
            return StoreFull(STORE)
        if "DeadlockDetected" in code or "LockClient" in code or "LockAcquisitionTimeout" in code or "Outdated" in code:
            return Conflict(STORE)
        if "TransactionTimedOut" in code or "TransactionTerminated" in code:
            return StoreUnavailable(STORE, "the transaction took too long")
        return StoreUnavailable(STORE, f"it answered {code}")
    return StoreUnavailable(STORE, "no server answers, or the connection was lost; check the URL and that it runs")


def _is_full(error: Neo4jError) -> bool:
    said = f"{error.code} {error.message}".lower()
    return "no space left" in said or "outofdisk" in said.replace(" ", "")


@contextmanager
def translated() -> Iterator[None]:
    """Let no error of the driver out.

    Raises:
        Conflict: another writer was faster.
        StoreFull: the server's disk is full.
        StoreUnavailable: the server is away, refuses us or lost the transaction.
    """
    try:
        yield
    except (Neo4jError, DriverError, OSError) as error:
        raise translate(error) from error
    except asyncio.IncompleteReadError as error:
        raise StoreUnavailable(STORE, "the connection was lost") from error
