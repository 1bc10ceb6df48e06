"""Resolve one file with GoldenMatch, in its own environment: FILE ANSWER [--probabilistic].

Without configuration, or with the probabilistic configuration that it makes by itself. When GoldenMatch refuses its own
configuration as too poor, it is told to go on. The answer is a Parquet file of record_id and cluster.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time

os.environ.setdefault("GOLDENMATCH_AUTOCONFIG_MEMORY", "0")  # nothing learned from earlier files

import goldenmatch
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def resolve(table: pa.Table, *, probabilistic: bool):
    """Cluster the rows; also says whether it refused at first."""
    if probabilistic:
        return goldenmatch.dedupe_df(table, config=goldenmatch.auto_configure_probabilistic_df(table)), False
    try:
        return goldenmatch.dedupe_df(table), False
    except Exception as refusal:  # noqa: BLE001  # its kinds are no part of its interface
        logging.getLogger(__name__).error("refused: %s", refusal)
        return goldenmatch.dedupe_df(table, allow_red_config=True), True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("answer")
    parser.add_argument("--probabilistic", action="store_true")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    frame = pd.read_parquet(chosen.file) if chosen.file.endswith(".parquet") else pd.read_csv(chosen.file, dtype=str)
    attributes = frame.drop(columns=["record_id", "source"], errors="ignore")
    table = pa.table({name: pa.array(attributes[name], pa.string(), from_pandas=True) for name in attributes.columns})
    result, refused = resolve(table, probabilistic=chosen.probabilistic)
    cluster_of = {}
    for number, found in (result.clusters or {}).items():
        members = found["members"] if isinstance(found, dict) else found.members
        cluster_of.update((int(member), f"c{number}") for member in members)
    clusters = [cluster_of.get(row, f"alone{row}") for row in range(len(frame))]
    pq.write_table(pa.table({"record_id": pa.array(frame["record_id"], pa.string()), "cluster": clusters}), chosen.answer)
    print(json.dumps({"work_seconds": time.perf_counter() - began, "refused": refused}))


if __name__ == "__main__":
    main()
