"""Go programs that tests run: built once a module, skipped where Go or modules cannot be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_BUILD_S: Final = 900
"""The first build on a machine compiles clickhouse-go: minutes, where others work beside it."""
_UNOPTIMISED: Final = "-gcflags=all=-N -l"
"""A third less CPU to compile clickhouse-go and what it needs, for the same answers."""
_WITHOUT_C: Final = {"CGO_ENABLED": "0"}
"""A tenth less again, and no C compiler is needed: nothing here is written in C."""


def build_go_program(source: Path, package: str, built: Path) -> Path:
    """Build a program and return it.

    Args:
        source: Folder in which Go is run: that of the module, or of the one file.
        package: What is built: `.`, `./queries`, `message.go`.
        built: Where the program goes.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip(f"no Go toolchain on PATH: {built.name} cannot be built")
    done = subprocess.run(
        [go, "build", _UNOPTIMISED, "-o", str(built), package],
        cwd=source,
        capture_output=True,
        text=True,
        env={**os.environ, **_WITHOUT_C, "GOFLAGS": "-mod=readonly"},
        timeout=_BUILD_S,
        check=False,
    )
    if done.returncode and "dial tcp" in done.stderr:
        pytest.skip(f"modules of {built.name} cannot be downloaded: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return built
