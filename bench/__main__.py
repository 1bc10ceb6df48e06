"""Run a benchmark: `python -m bench online --store sqlite --records 100000`."""

from __future__ import annotations

import sys
from importlib import import_module

_BENCHMARKS = {
    "identity": "bench.identity",
    "online": "bench.online",
    "people": "bench.made_people",
    "quality": "bench.quality",
    "retrains": "bench.retrains",
    "speed": "bench.speed",
}


def main() -> int:
    """Run the benchmark that the first argument names; `online` when there is none."""
    name, arguments = (
        ("online", sys.argv[1:]) if len(sys.argv) < 2 or sys.argv[1].startswith("-") else (sys.argv[1], sys.argv[2:])
    )
    if name not in _BENCHMARKS:
        print(f"There is no benchmark {name}; choose one of {', '.join(_BENCHMARKS)}.", file=sys.stderr)
        return 2
    return int(import_module(_BENCHMARKS[name]).main(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
