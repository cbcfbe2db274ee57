"""The clock of the chaos tests: it leaves out what others took, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.machine_time import own_seconds, share_left

SPIN = "import time\nwhile time.process_time() < 0.4: pass\nprint(time.process_time())"


@pytest.mark.parametrize(
    ("others_s", "share"), [(0.0, 1.0), (5.0, 0.75), (20.0, 0.1), (-1.0, 1.0), (25.0, 0.1)]
)
def test_what_others_took_is_left_out(others_s: float, share: float) -> None:
    assert share_left(others_s, 10.0, processors=2) == share


@pytest.mark.integration
def test_what_a_child_took_that_has_ended_counts_as_our_own() -> None:
    before_s = own_seconds()
    used_s = float(subprocess.check_output([sys.executable, "-c", SPIN]))
    assert used_s > 0.3
    assert own_seconds() - before_s > used_s - 0.05
