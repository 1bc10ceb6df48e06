"""Assemble a Neo4j Community server from Maven, start it on the loopback interface, and stop it.

For development and tests: `python -m goldenthread.graph.stores.neo4j.local --home .neo4j` serves until interrupted.
It needs Java 17 (or 21) and Maven on the path. The jars (about 130 MB) are cached, so only the first start needs the network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from neo4j import Auth, Driver, GraphDatabase, basic_auth
from neo4j.exceptions import ClientError, Neo4jError, ServiceUnavailable

__all__ = ["DEFAULT_VERSION", "LocalNeo4j", "LocalNeo4jError", "assemble"]

DEFAULT_VERSION = "5.26.0"
START_SECONDS = 120
STOP_SECONDS = 60

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>goldenthread</groupId><artifactId>neo4j-assembly</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{version}</version></dependency>
  </dependencies>
</project>
"""

_CONF = """# Written by goldenthread at every start; edits are lost.
server.default_listen_address=127.0.0.1
server.default_advertised_address=localhost
server.bolt.enabled=true
server.bolt.listen_address=127.0.0.1:{port}
# Stopped, it would wait ten seconds for its idle threads. Another version may not know these.
internal.server.bolt.connection_shutdown_wait_time=0s
internal.server.bolt.thread_pool_shutdown_wait_time=0s
server.config.strict_validation.enabled=false
server.http.enabled=false
server.https.enabled=false
dbms.security.auth_enabled={auth_enabled}
dbms.usage_report.enabled=false
server.memory.pagecache.size={page_cache}
db.tx_log.preallocate=false
db.tx_log.rotation.size=64M
db.tx_log.rotation.retention_policy=128M size
db.checkpoint.interval.time=5m
"""

_END_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, which lasts when another program takes this process over
if os.getppid() == int(sys.argv[1]):  # else the parent ended before
    os.execv(sys.argv[2], sys.argv[2:])
"""


class LocalNeo4jError(Exception):
    """The local server cannot be assembled or started; the message says why and what to do."""


def default_cache() -> Path:
    """Name the folder that keeps assembled jars."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goldenthread"


def assemble(version: str = DEFAULT_VERSION, cache: Path | None = None) -> Path:
    """Get the folder of a version's jars, asking Maven for them the first time.

    Raises:
        LocalNeo4jError: Maven is missing or could not get them.
    """
    home = (cache or default_cache()) / f"neo4j-{version}"
    lib = home / "lib"
    if lib.is_dir():
        return lib
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalNeo4jError("Maven (mvn) is not on the path; install it, or point at a Neo4j that runs already.")
    home.mkdir(parents=True, exist_ok=True)
    partial = home / f"lib.{os.getpid()}"
    pom = home / f"pom.{os.getpid()}.xml"
    pom.write_text(_POM.format(version=version), encoding="utf-8")
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [
                maven,
                "-q",
                "-B",
                "-f",
                pom,
                "dependency:copy-dependencies",
                f"-DoutputDirectory={partial}",
                "-DincludeScope=runtime",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not partial.is_dir():
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise LocalNeo4jError(f"Maven could not get Neo4j {version}: {lines[0] if lines else 'it said nothing'}")
        try:
            partial.rename(lib)
        except OSError:
            if not lib.is_dir():  # else another process was faster, with the same jars
                raise
    finally:
        pom.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    return lib


def find_java() -> str:
    """Find the Java launcher.

    Raises:
        LocalNeo4jError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    java = java or shutil.which("java")
    if java is None:
        raise LocalNeo4jError("Java is not on the path; install a Java 17 runtime, or point at a Neo4j that runs already.")
    return java


def free_port() -> int:
    """Find a port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class LocalNeo4j:
    """A Neo4j server that this process started; a context manager that stops it."""

    uri: str
    home: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        home: Path,
        *,
        version: str = DEFAULT_VERSION,
        cache: Path | None = None,
        port: int | None = None,
        password: str | None = None,
        heap: str = "1g",
        page_cache: str = "512m",
    ) -> Self:
        """Start a server on a folder and wait until it answers Bolt.

        Without a password anyone on this machine may connect: fit for tests, not for personal data.
        On Linux a server started by the main thread ends with this process, even when that is killed.

        Raises:
            LocalNeo4jError: Java or Maven is missing, the server ended, or it did not answer in time.
        """
        java, lib = find_java(), assemble(version, cache)
        home = home.resolve()
        conf, logs = home / "conf", home / "logs"
        conf.mkdir(parents=True, exist_ok=True)
        logs.mkdir(exist_ok=True)
        chosen = port if port is not None else free_port()
        settings = _CONF.format(port=chosen, auth_enabled=str(password is not None).lower(), page_cache=page_cache)
        (conf / "neo4j.conf").write_text(settings, encoding="utf-8")
        command = [java, "-server", f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseParallelGC"]
        command += [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.nio", "java.lang", "sun.nio.ch")]
        command += ["-Dio.netty.leakDetection.level=DISABLED", "-Djdk.nio.maxCachedBufferSize=1024"]
        command += ["-Dfile.encoding=UTF-8", "-cp", f"{lib}/*", "org.neo4j.server.CommunityEntryPoint"]
        command += [f"--home-dir={home}", f"--config-dir={conf}"]
        console = logs / "console.log"
        with console.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                # a session of its own: an interrupt at the terminal reaches us, and we stop the server in order
                _ending_with_us(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home,
                start_new_session=True,
            )
        server = cls(uri=f"bolt://127.0.0.1:{chosen}", home=home, process=process)
        try:
            server._wait(password)
        except BaseException:
            server.stop()
            raise
        (home / "neo4j.pid").write_text(f"{process.pid}\n", encoding="utf-8")
        return server

    def _wait(self, password: str | None) -> None:
        """Wait until Bolt answers, and set the first password."""
        deadline = time.monotonic() + START_SECONDS
        auth = None if password is None else basic_auth("neo4j", password)
        while True:
            try:
                with self._driver(auth) as driver:
                    driver.verify_connectivity()
                return
            except ClientError as error:
                if password is None or not _set_first_password(self._driver(basic_auth("neo4j", "neo4j")), password):
                    raise LocalNeo4jError(f"Neo4j refused the password; was {self.home} made with another?") from error
            except (ServiceUnavailable, Neo4jError, OSError) as error:
                try:
                    self.process.wait(timeout=0.1)  # wakes at once when the server ends
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        raise LocalNeo4jError(
                            f"Neo4j did not answer within {START_SECONDS} s; see {self.home}/logs."
                        ) from error
                else:
                    raise LocalNeo4jError(f"Neo4j ended while starting; see {self.home}/logs/console.log.") from error

    def _driver(self, auth: Auth | None) -> Driver:
        return GraphDatabase.driver(self.uri, auth=auth, connection_timeout=5, notifications_min_severity="OFF")

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    def stop(self) -> None:
        """Stop the server in order; kill it when it does not stop in time."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        (self.home / "neo4j.pid").unlink(missing_ok=True)

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _ending_with_us(command: Sequence[str]) -> list[str]:
    """Wrap a command so that it ends with this process, where that can be had; the process stays the command's own.

    To Linux, the parent is the thread that starts a process: one started by a thread that may end earlier is left alone.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [sys.executable, "-IS", "-c", _END_WITH_PARENT, str(os.getpid()), *command]


def _set_first_password(driver: Driver, password: str) -> bool:
    """Replace the password that Neo4j ships with; False when it was replaced before."""
    with driver:
        try:
            with driver.session(database="system") as session:
                session.run("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $new", new=password).consume()
        except ClientError:
            return False
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a local Neo4j, print where it is, and serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m goldenthread.graph.stores.neo4j.local", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".neo4j"), help="folder of its data, settings and logs")
    parser.add_argument("--version", default=DEFAULT_VERSION, help="version to get from Maven")
    parser.add_argument("--port", type=int, default=7687, help="Bolt port on 127.0.0.1; 0 for a free one")
    parser.add_argument("--heap", default="1g", help="memory of the Java heap")
    parser.add_argument("--page-cache", default="512m", help="memory for cached store pages")
    options = parser.parse_args(arguments)
    try:
        server = LocalNeo4j.start(
            options.home,
            version=options.version,
            port=options.port or None,
            password=os.environ.get("GOLDENTHREAD_NEO4J_PASSWORD") or None,
            heap=options.heap,
            page_cache=options.page_cache,
        )
    except LocalNeo4jError as error:
        print(error, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server:
        print(f"Neo4j {options.version} answers at {server.uri} (pid {server.pid}); Ctrl-C stops it.", flush=True)
        try:
            return server.process.wait()
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
