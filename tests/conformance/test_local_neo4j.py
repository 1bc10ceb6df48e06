"""A Neo4j that a process started does not outlive it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from goldenthread.graph.stores.neo4j.local import DEFAULT_VERSION

START = """
import pathlib, sys
from goldenthread.graph.stores.neo4j.local import LocalNeo4j
LocalNeo4j.start(pathlib.Path(sys.argv[1]), cache=pathlib.Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it stays when the process that started it is killed")
def test_a_neo4j_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")
    java.chmod(0o755)
    (tmp_path / "cache" / f"neo4j-{DEFAULT_VERSION}" / "lib").mkdir(parents=True)
    starter = subprocess.Popen(
        [sys.executable, "-c", START, tmp_path / "home", tmp_path / "cache"], env={**os.environ, "JAVA_HOME": str(tmp_path)}
    )
    server = os.pidfd_open(int(told.read_text()))

    starter.kill()

    starter.wait()
    ended, _, _ = select.select([server], [], [], 30)
    os.close(server)
    assert ended
