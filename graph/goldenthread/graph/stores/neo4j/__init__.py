"""The production store, on Neo4j 5.26 or later, Community edition enough."""

from goldenthread.graph.stores.neo4j.store import Neo4jStore, open_store

__all__ = ["Neo4jStore", "open_store"]
