"""Pauses between tries: growing, bounded, spread by chance."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.places import ROOT
from tokentide_jobs.backoff import Backoff


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_cap_and_jitter_only_shortens_them(attempt: int, chance: float) -> None:
    backoff = Backoff(first_s=0.1, longest_s=15, jitter=0.5)
    pause_s = backoff.pause_s(attempt, chance)
    assert pause_s <= min(15, 0.1 * 2 ** min(attempt - 1, 30))
    assert pause_s >= 0.05
    assert backoff.pause_s(attempt, chance, slow=True) >= 7.5


def test_the_pauses_of_one_retry_double_and_end_at_the_longest() -> None:
    pauses = Backoff(first_s=0.5, longest_s=3.0).pauses_s(lambda: 0.0)
    assert list(islice(pauses, 5)) == pytest.approx([0.5, 1.0, 2.0, 3.0, 3.0])


def test_no_other_module_makes_its_own_growing_pauses() -> None:
    """Doubling a pause or multiplying it by the attempt is what `Backoff` is for."""
    growing = re.compile(r"(pause|delay|wait)_?s? ?\*=? ?(2|attempt)|2 ?\*\*? ?(self\._)?delay")
    growing_too = re.compile(r"sleep\([^)]*\* ?(attempt|tries)")
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "stream_jobs").rglob("*.py"))
        if path.name != "backoff.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if growing.search(line) or growing_too.search(line)
    ]
    assert wrong == []
