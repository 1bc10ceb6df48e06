"""Keep named configuration of a tenant as versions of an artefact, sealed: what held at a revision can be read as of it."""

from __future__ import annotations

from msgspec import Struct

from goldenthread.graph.model import Edge, EdgeKind, Node, NodeKind
from goldenthread.graph.store import ChangeSet, EdgeRef, Reader
from goldenthread.graph.vault import SealRequest, TenantVault
from goldenthread.server.commands.ids import new_id, now

__all__ = ["Artefact", "artefact_root", "open_artefact", "put_artefact", "read_artefact"]


class Artefact(Struct, frozen=True):
    """One version of an artefact, opened."""

    node: Node
    body: bytes


def artefact_root(vault: TenantVault, name: str) -> bytes:
    """Name the node that stays while versions come and go: what a change locks."""
    return vault.blind("artefact", name)


async def read_artefact(reader: Reader, vault: TenantVault, name: str) -> Artefact | None:
    """Read the version that holds at the reader's revision; None when there is none, or its key is gone."""
    node = await reader.artefact(artefact_root(vault, name))
    if node is None:
        return None
    plain = await open_artefact(vault, node)
    return Artefact(node, plain) if plain is not None else None


async def open_artefact(vault: TenantVault, version: Node) -> bytes | None:
    """Open the body of a version; None when its key is gone."""
    body = version.properties["body"]
    (plain,) = await vault.open([(version.id, NodeKind.ARTEFACT, body if isinstance(body, bytes) else b"")])
    return plain


async def put_artefact(changes: ChangeSet, vault: TenantVault, name: str, former: Node | None, body: bytes) -> bytes:
    """Put a new version in place of the former one; return its id."""
    root, version = artefact_root(vault, name), new_id(now())
    (sealed,) = await vault.seal([SealRequest(version, NodeKind.ARTEFACT, body)])
    changes.put_nodes.append(Node(NodeKind.ARTEFACT, root, {"body": b""}))
    changes.put_nodes.append(Node(NodeKind.ARTEFACT, version, {"body": sealed}))
    if former is not None:
        changes.end_edges.append(EdgeRef(EdgeKind.CURRENT, root, former.id))
    changes.put_edges.append(Edge(EdgeKind.CURRENT, root, version))
    return version
