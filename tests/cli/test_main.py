"""Help, exit codes and how failures are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run

from goldenthread.cli import doctor
from goldenthread.cli.errors import explain
from goldenthread.cli.main import app

COMMANDS = [str(name) for name in (c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands)]
RUNNABLE = [[name] for name in COMMANDS] + [["model", "show"], ["model", "export"], ["model", "update"]]


def test_help_lists_every_command(run: Run) -> None:
    ran = run("--help")

    assert ran.code == 0
    assert {"serve", "load", "link", "evaluate", "resolve", "identity", "why", "how", "explore", "doctor", "demo"} <= set(
        COMMANDS
    )
    assert all(name in ran.out for name in COMMANDS)


@pytest.mark.parametrize("command", RUNNABLE, ids=" ".join)
def test_every_command_has_help_with_an_example_and_speaks_json(command: list[str], run: Run) -> None:
    ran = run(*command, "--help")

    assert ran.code == 0
    assert f"goldenthread {' '.join(command)}" in ran.out.split("Options:")[0].split("Example", 1)[1]
    assert "--json" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["link"],
        ["link", "x.csv"],
        ["link", "x.csv", "--out", "x.xlsx"],
        ["link", "x.csv", "--out", "x.csv", "--master", "local[2]"],
        ["link", "x.csv", "--out", "x.csv", "--engine", "spark", "--spark-conf", "12g"],
        ["link", "x.csv", "--out", "x.csv", "--engine", "abacus"],
        ["load"],
        ["load", "x.csv", "--chunk", "1001"],
        ["load", "x.csv", "--party", "fourth"],
        ["load", "x.csv", "--source", "a b"],
        ["resolve", "just-a-word"],
        ["identity", "a b c"],
        ["identity", "shoe=42"],
        ["identity", "x", "--as-of", "yesterday"],
        ["identity", "x", "--server", "nowhere"],
        ["merge", "a", "b"],
        ["model", "export"],
        ["explore", "x", "--hops", "9"],
        ["serve", "--set", "word"],
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(arguments: list[str], run: Run) -> None:
    ran = run(*arguments)

    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.strip()
    assert "Traceback" not in ran.err


def test_without_a_server_one_sentence_says_so_with_its_remedy(run: Run) -> None:
    ran = run("doctor", "--server", "127.0.0.1:1", "--json")

    assert ran.code == 1
    findings = {finding["check"]: finding for finding in ran.items}
    assert findings["python"]["ok"]
    assert not findings["server"]["ok"]
    assert "goldenthread serve" in str(findings["server"]["remedy"])
    assert not findings["token"]["ok"]


def test_a_setting_that_is_wrong_names_itself(run: Run) -> None:
    ran = run("serve", "--listen", "0.0.0.0:7461")

    assert ran.code == 1
    assert ran.err.startswith("error: The setting listen")


def test_a_key_file_that_others_may_read_is_found(run: Run, tmp_path: Path) -> None:
    key = tmp_path / "data" / "keys" / "root.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(b"k")
    key.chmod(0o644)

    ran = run("doctor", "--data", tmp_path / "data", "--server", "127.0.0.1:1")

    assert ran.code == 1
    assert f"Run chmod 600 {key}." in ran.out.replace("\n", "")


def test_what_nobody_foresaw_is_told_without_its_text() -> None:
    try:
        raise KeyError("ann@example.org")
    except KeyError as error:
        sentence, code = explain(error)

    assert code == 1
    assert "ann@example.org" not in sentence
    assert "KeyError at test_main.py" in sentence


def test_help_is_there_within_half_a_second_of_processor_time() -> None:
    program = "import resource, sys; sys.argv = ['goldenthread', '--help']\n" + (
        "from goldenthread.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_utime, file=sys.stderr)"
    )

    seconds = min(
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stderr)
        for _ in range(3)
    )

    assert seconds < 0.5


@pytest.mark.parametrize("heavy", ["grpc", "numpy", "pyarrow", "sklearn", "rich", "neo4j", "apsw", "phonenumbers"])
def test_starting_up_imports_nothing_heavy(heavy: str) -> None:
    program = f"import sys, goldenthread.cli.main; sys.exit({heavy!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_linking_files_takes_no_time_for_pandas(tmp_path: Path) -> None:
    file, out = tmp_path / "people.csv", tmp_path / "out.parquet"
    rows = [f"{i},Ann{'x' * (i // 2)},Smith,1980-01-{i // 2 + 1:02},ann{i // 2}@x.org,415-555-26{i // 2:02}" for i in range(20)]
    file.write_text("\n".join(["record_id,first_name,surname,dob,email,phone", *rows]))
    program = (
        f"import sys; sys.argv = ['goldenthread', 'link', {str(file)!r}, '--out', {str(out)!r}]\n"
        "from goldenthread.cli.main import main\n"
        "try: main()\nfinally: assert 'pandas' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert out.exists()


def test_a_command_that_is_interrupted_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "_python", interrupted)

    ran = run("doctor")

    assert (ran.code, ran.err) == (130, "Stopped.\n")


@pytest.mark.parametrize("command", ["--help", "profile wide.csv"])
def test_output_that_nobody_reads_to_the_end_is_no_failure(command: str, tmp_path: Path) -> None:
    columns = [f"column_{i}_of_a_wide_file" for i in range(450)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(columns), *(",".join([str(row)] * 450) for row in range(3))]))

    ran = subprocess.run(
        f"cd {tmp_path}; {sys.executable} -m goldenthread.cli.main {command} | (head -c 1 > /dev/null; exec <&-); "
        "echo ${PIPESTATUS[0]}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert not any(word in ran.stderr for word in ("error", "Exception", "Traceback"))
    assert ran.stdout.splitlines()[-1] == "0"
