"""The commands of models and jobs, against a server with a few hundred simulated customers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_line import Ran, facts, run_main
from wire.conftest import StartServer
from wire.test_models import labels_of, put

from goldenthread.cli.demo.sending import to_record
from goldenthread.cli.demo.sources import simulate_records


def test_a_model_is_changed_and_taken_back_from_the_command_line(
    make_server: StartServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = make_server()
    simulated = list(simulate_records(300))
    with server.client() as client:
        put(client, [to_record(one) for one in simulated])
        given = next(client.list_models()).version
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "left_source", "left_record_id", "right_source", "right_record_id"])
        for left, right, is_match in labels_of(simulated):
            rows.writerow([int(is_match), left.source, left.source_record_id, right.source, right.source_record_id])
    monkeypatch.setenv("GOLDENTHREAD_SERVER", server.address)
    monkeypatch.setenv("GOLDENTHREAD_TOKEN", server.token())

    def run(*arguments: str) -> Ran:
        ran = run_main(capsys, arguments)
        assert ran.code == 0, ran.err
        return ran

    def states() -> dict[str, str]:
        return {str(one["version"]): str(one["state"]) for one in run("model", "list", "--json").items}

    trained = run("model", "train", "--labels", str(labels), "--name", "ours", "--json").facts
    version = str(facts(trained["result"])["version"])
    measured = facts(run("model", "evaluate", version, "--labels", str(labels), "--json").facts["result"])
    run("model", "stage", "ours")
    preview = run("model", "preview", version, "--json").facts
    activated = run("model", "activate", version, "--no-wait", "--json").facts
    run("jobs", "wait", str(activated["name"]))
    in_use = states()
    run("model", "rollback")
    jobs = [str(one["type"]) for one in run("jobs", "list", "--json").items]

    assert float(str(facts(measured["assessment"])["precision"])) > 0.9
    assert isinstance(preview["listed"], list)
    assert in_use == {given: "MODEL_STATE_KEPT", version: "MODEL_STATE_ACTIVE"}
    assert states()[given] == "MODEL_STATE_ACTIVE"
    assert jobs == ["train-model", "evaluate-model", "stage-model", "preview-activation", "activate-model", "activate-model"]
    assert "activate-model" in run("jobs", "show", str(activated["name"])).out
    failed = run_main(capsys, ("jobs", "cancel", str(activated["name"])))
    assert failed.code == 1
    assert "No model is named theirs." in run_main(capsys, ("model", "activate", "theirs")).err
    labels.write_text("label,left_source,left_record_id,right_source,right_record_id\n")
    assert "has no label yet" in run_main(capsys, ("model", "train", "--labels", str(labels))).err
    assert "succeeded" in failed.err
