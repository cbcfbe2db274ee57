"""`python -m bench [NAME ...]`: run the measurements and write their results.

They go to bench/results.json, bench/results.md and the table in README.

Each has the peer or the limit beside it in the same run. Figures of another day are kept
for the names that are not run again, with the day and the machine they were measured on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

from bench import (
    dashboards,
    decode_fold,
    detect_history,
    detect_job,
    detect_latency,
    detect_ten_seconds,
    detect_thinning,
    detection,
    first_picture,
    footprint,
    forecast,
    latency,
    producer,
    producer_emit,
    readme,
    run_guard,
    serverless,
    throughput,
    viewer,
)
from bench.progress import say
from bench.readme import RESULTS
from bench.report import markdown

MEASUREMENTS: dict[str, Callable[[], dict[str, object]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "footprint": footprint.measure,
    "producer": producer.measure,
    "producer_emit": producer_emit.measure,
    "serverless": serverless.measure,
    "decode_fold": decode_fold.measure,
    "run_guard": run_guard.measure,
    "detection": detection.measure,
    "forecast": forecast.measure,
    "detect_job": detect_job.measure,
    "detect_history": detect_history.measure,
    "detect_latency": detect_latency.measure,
    "detect_ten_seconds": detect_ten_seconds.measure,
    "detect_ten_seconds_clean": detection.measure_ten_seconds,
    "detect_thinning": detect_thinning.measure,
    "dashboards": dashboards.measure,
    "viewer": viewer.measure,
    "first_picture": first_picture.measure,
}


def machine() -> str:
    """Describe the machine in one line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"


def main() -> None:
    """Run what was asked for, everything by default, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        say(f"== {name}")
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        load = round(os.getloadavg()[0], 1)
        figures = MEASUREMENTS[name]()
        results[name] = {
            "day": day,
            "machine": machine(),
            "load_before": load,
            "figures": figures,
        }
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    text = markdown(results)
    RESULTS.with_suffix(".md").write_text(text)
    readme.main()
    print(text)


if __name__ == "__main__":
    main()
