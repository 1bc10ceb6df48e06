"""The docs name everything there is, and nothing that is not."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from goldenthread.cli.main import app
from goldenthread.graph.store import Capability
from goldenthread.resolver.comparisons import kinds
from goldenthread.server.config import Config, load_config, settings
from goldenthread.server.contract import methods, role_for
from goldenthread.server.logs import LOGGED_KEYS
from goldenthread.server.main import run
from goldenthread.server.metrics import Metrics
from goldenthread.v1.error_reason_pb2 import ErrorReason

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHER_VARIABLES = {"SERVER", "TOKEN", "TENANT", "TLS_CA", "CONFIG", "TRACEBACK", "CLIENT_CERT", "CLIENT_KEY", "NEO4J_PASSWORD"}


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(group: TyperGroup, prefix: str = "goldenthread") -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{prefix} {name}")
            if default := getattr(command, "default_name", ""):
                yield f"{prefix} {name}", command.commands[default]
        else:
            yield f"{prefix} {name}", command


COMMANDS = dict(commands(get_command(app)))  # type: ignore[arg-type]  # the app has groups of commands


@pytest.mark.parametrize("method", methods())
def test_every_rpc_is_in_the_reference_with_its_role(method: str) -> None:
    name = method.rpartition("/")[2]

    assert f"| `{name}` | {role_for(method)} |" in (REFERENCE / "rpcs.md").read_text()


def test_every_setting_is_in_the_reference_as_it_is() -> None:
    page = (REFERENCE / "settings.md").read_text()
    rows = [f"| `{s.name}` | {f'`{s.default}`' if s.default else ''} | {s.description} |" for s in settings()]

    missing = [row for row in rows if row not in page]

    assert missing == []
    assert len(re.findall(r"^\| `", page, re.MULTILINE)) == len(rows)


@pytest.mark.parametrize("reason", ErrorReason.keys())
def test_every_error_reason_is_in_the_reference(reason: str) -> None:
    assert f"| `{reason}` |" in (REFERENCE / "errors.md").read_text()


@pytest.mark.parametrize("capability", Capability, ids=lambda capability: capability.value)
def test_every_capability_is_in_the_reference(capability: Capability) -> None:
    assert f"| `{capability.value}` |" in (REFERENCE / "stores.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference(command: str) -> None:
    assert f"| `{command}` |" in (REFERENCE / "cli.md").read_text()


def test_every_metric_is_in_the_reference() -> None:
    metrics = Metrics()
    metrics.watch_caches(lambda: {"members": (0, 0)})
    metrics.watch_guards(lambda: {"duplicate_free": 0})
    names = {m.name + ("_total" if m.type == "counter" else "") for m in metrics.registry.collect()}

    documented = set(re.findall(r"^\| `(goldenthread_\w+)` \|", (REFERENCE / "metrics.md").read_text(), re.MULTILINE))

    assert documented == names


def test_logs_can_hold_no_key_that_may_be_personal() -> None:
    assert not LOGGED_KEYS & {"subject", "caller", "token", "name", "value", "email", "record", "identity", "body", "request"}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [
        link
        for link in LINK.findall(page.read_text())
        if "://" not in link and not (page.parent / link.partition("#")[0]).exists()
    ]

    assert broken == []


@pytest.mark.parametrize("page", [p for p in PAGES if p.is_relative_to(ROOT / "docs")], ids=ids)
def test_every_page_is_reached_from_the_index(page: Path) -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}

    assert page == index or page.resolve() in linked


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = set(re.findall(r"`make ([a-z0-9-]+)", text)) | set(re.findall(r"^make ([a-z0-9-]+)", text, re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_line_that_is_shown_has_a_command_and_options_that_exist(page: Path) -> None:
    wrong = []
    for line in "\n".join(SHELL.findall(page.read_text())).splitlines():
        words = line.split()
        if not words or words[0] != "goldenthread" or words[1].startswith("--"):
            continue
        name = " ".join(words[:3]) if " ".join(words[:3]) in COMMANDS else " ".join(words[:2])
        if name not in COMMANDS:
            wrong.append(line)
            continue
        options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        wrong += [f"{name} {word}" for word in words if word.startswith("--") and word.partition("=")[0] not in options]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_python_example_can_be_parsed(page: Path) -> None:
    for example in PYTHON.findall(page.read_text()):
        ast.parse(example)


async def test_the_python_of_the_quick_start_and_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick_start = PYTHON.findall((ROOT / "docs" / "tutorial" / "quickstart.md").read_text())[0]
    readme = (ROOT / "README.md").read_text().partition("python - <<'EOF'\n")[2].partition("\nEOF\n")[0]
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = load_config({"listen": "127.0.0.1:0", "log_level": "error"})
    serving = asyncio.create_task(run(config, listening.set_result, stop=stop))
    address = (await listening).address

    for example in (quick_start, readme):
        await asyncio.to_thread(exec, example.replace("127.0.0.1:7461", address), {})
    stop.set()
    await serving

    printed = capsys.readouterr().out
    assert "2 records of one person" in printed
    assert "2 records, one identity: tenants/default/identities/" in printed


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docker-compose.yml", ROOT / "Dockerfile"], ids=ids)
def test_every_variable_that_is_named_is_a_setting(page: Path) -> None:
    named = set(re.findall(r"\bGOLDENTHREAD_([A-Z_]*[A-Z])\b", page.read_text()))

    assert named <= {name.upper() for name in Config.__struct_fields__} | OTHER_VARIABLES


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_there_is_one_sentence_a_line(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    prose = [line for line in text.splitlines() if line and line[0].isalpha()]

    crowded = [line for line in prose if re.search(r"[a-z)`]\. [A-Z]", line)]

    assert crowded == []


@pytest.mark.parametrize("kind", kinds())
def test_every_comparison_is_in_the_reference_with_its_levels(kind: str) -> None:
    page = (REFERENCE / "comparisons.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}` |"))
    heads = {level for level in kinds()[kind].expected if level not in ("exact", "postcode")}

    assert heads == set(re.findall(r"`(\w+)`", row.split("|")[4])) - {"postcode"}
    assert heads <= set(re.findall(r"`(\w+)`", page.partition("## What the levels mean")[2])) | {"city"}
