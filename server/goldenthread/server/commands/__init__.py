"""Commands: one use case a file, on top of store, vault and resolver. They know nothing of gRPC."""

from __future__ import annotations

from goldenthread.server.commands.engine import Engine

__all__ = ["Engine"]
