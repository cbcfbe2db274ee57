"""`make nab NAB_DIR=…`: tier A through the runner of the Numenta Anomaly Benchmark itself.

The benchmark is not part of this project: a clone of github.com/numenta/NAB is named, read, and
left as it is. It shows how a detector finds new extremes of single series, and nothing about pages.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.nab_scores import SeriesScores
from bench.progress import say

__all__ = ["main"]

_NAME = "tokentide"
_NEEDED = ("nab/runner.py", "data", "labels/combined_windows.json", "config/profiles.json")


def main() -> int:
    """Run, and print the three scores; 0 where there is nothing to run by, with the reason."""
    parser = argparse.ArgumentParser(prog="python -m bench.nab", description=__doc__)
    parser.add_argument("nab_dir", type=Path, nargs="?", help="A clone of the benchmark.")
    directory: Path | None = parser.parse_args().nab_dir
    if directory is None:
        say("skipped: name a clone of github.com/numenta/NAB, make nab NAB_DIR=path")
        return 0
    missing = [name for name in _NEEDED if not (directory / name).exists()]
    if missing:
        say(f"{directory} is no clone of github.com/numenta/NAB: {', '.join(missing)} is not there")
        return 2
    sys.path.insert(0, str(directory))
    scores = _run(directory)
    say(json.dumps(scores, indent=2))
    return 0


def _run(directory: Path) -> dict[str, float]:
    """Let the runner detect, choose its threshold and score, as it does with every detector."""
    null_detector: Any = import_module("nab.detectors.null.null_detector").NullDetector
    with tempfile.TemporaryDirectory(prefix="nab-") as results:
        thresholds = Path(results) / "thresholds.json"
        shutil.copy(directory / "config" / "thresholds.json", thresholds)
        (Path(results) / "results").mkdir()
        detector = _detector()  # before the runner forks its workers
        runner: Any = import_module("nab.runner").Runner(
            dataDir=str(directory / "data"),
            resultsDir=str(Path(results) / "results"),
            labelPath=str(directory / "labels" / "combined_windows.json"),
            profilesPath=str(directory / "config" / "profiles.json"),
            thresholdPath=str(thresholds),
        )
        runner.initialize()
        runner.detect({"null": null_detector, _NAME: detector})
        names = ["null", _NAME]
        runner.score(names, runner.optimize(names))
        runner.normalize()
        final = json.loads((Path(results) / "results" / "final_results.json").read_text())
    found: dict[str, float] = final[_NAME]
    return found


def _detector() -> Any:
    """Return our detector in the benchmark's form; its workers are forked and know this class."""
    base: Any = import_module("nab.detectors.base").AnomalyDetector

    class TokentideDetector(base):  # type: ignore[misc]  # it has no types
        """Scores every row by what came before it."""

        def initialize(self) -> None:
            self._scores = SeriesScores()

        def handleRecord(self, inputData: dict[str, Any]) -> list[float]:
            at_us = round(inputData["timestamp"].timestamp() * 1e6)
            return [self._scores.score(at_us, float(inputData["value"]))]

    TokentideDetector.__qualname__ = "TokentideDetector"
    globals()["TokentideDetector"] = TokentideDetector
    return TokentideDetector


if __name__ == "__main__":
    raise SystemExit(main())
