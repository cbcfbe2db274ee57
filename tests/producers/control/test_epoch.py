"""Which records of the control topic count, by the epochs and times that they name."""

from __future__ import annotations

import pytest

from tokentide.control.epoch import OVERTAKEN_MS, Epochs


def named(epoch: int) -> list[tuple[str, bytes | None]]:
    return [("schema", b"run_state.v1"), ("epoch", str(epoch).encode())]


def test_a_worker_that_was_overtaken_is_not_heard_whenever_it_wrote() -> None:
    epochs = Epochs()
    assert epochs.admits(named(4), 1_000)
    assert epochs.admits(named(6), 50_000)
    for written_ms in (2_000, 50_000, 50_000 + OVERTAKEN_MS):
        assert not epochs.admits(named(4), written_ms)
    assert epochs.admits(named(6), 60_000)
    assert not epochs.admits(named(4), 60_000 + OVERTAKEN_MS), "by the newest of the greater epoch"
    assert epochs.admits(named(7), 1), "whatever its clock says"


def test_a_group_that_began_anew_is_heard_once_the_one_before_is_silent_for_minutes() -> None:
    epochs = Epochs()
    assert epochs.admits(named(400), 1_000)
    assert not epochs.admits(named(1), 2_000)
    assert epochs.admits(named(1), 1_001 + OVERTAKEN_MS)
    assert epochs.admits(named(1), 1_002 + OVERTAKEN_MS)
    assert epochs.admits(named(2), 1_003 + OVERTAKEN_MS)


@pytest.mark.parametrize("value", [None, b"", b"-1", b"1e9", b"\xff", b"9" * 5_000])
def test_a_record_without_an_epoch_that_can_be_read_counts(value: bytes | None) -> None:
    epochs = Epochs()
    assert epochs.admits(named(9), 1_000)
    assert epochs.admits([("epoch", value)], 1_000)
    assert epochs.admits([], 1_000)
    assert not epochs.admits(named(8), 1_000), "it takes nothing back"
