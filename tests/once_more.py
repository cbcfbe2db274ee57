"""Runs the integration tests that failed beside others once more, alone, and names them.

They start processes on cores that they share, so one may fail by the load of the others. A fault
fails again here. What passes is not forgiven: it is named at the end, as a test to be mended. Where
more than three failed nothing is run again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["failed_tests", "main"]

_MOST: Final = 3


def failed_tests(cache: Path) -> list[str]:
    """Return the names of the tests that failed in the run that kept its cache there."""
    path = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(path.read_text("utf-8"))) if path.exists() else []


def main(cache: Path) -> int:
    """Run what failed once more; return the exit code of that, 1 where nothing was run again."""
    failed = failed_tests(cache)
    if not 0 < len(failed) <= _MOST:
        print(f"\n{len(failed)} tests failed: none is run again")
        return 1
    print("\nOnce more, alone:", *failed, sep="\n  ", flush=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", *failed]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        print("\nTO BE MENDED: these failed beside others, and passed alone:", *failed, sep="\n  ")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
