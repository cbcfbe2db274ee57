"""`tokentide` commands run in the process of the test, which has imported what they need.

Another interpreter takes a second to do that. A test starts one where the process is the point: its
signals, its environment, its memory, its end, or a producer that is given up when it ends.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tokentide_jobs.cli.main import main

__all__ = ["command", "verified"]


def command(*arguments: str) -> CompletedProcess[str]:
    """Run a command; return its exit code and what it wrote."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(output), redirect_stderr(errors):
        code = main(arguments)
    for stream in (output, errors):
        stream.seek(0)
    return CompletedProcess(arguments, code, output.read(), errors.read())


def verified(data_dir: Path, wait_s: int = 300, *options: str) -> dict[str, Any]:
    """Return the report of `tokentide verify`, once ingest has come to the end of the log."""
    where = ("--data-dir", str(data_dir))
    done = command("verify", "--json", "--wait", str(wait_s), *where, *options)
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    return report
