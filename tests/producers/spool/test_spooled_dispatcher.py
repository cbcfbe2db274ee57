"""The disk spool inside the running producer: outages, a full disk, the end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.producers.test_telemetry import StuckSender, until
from tokentide import Settings, SettingsError, Telemetry
from tokentide.testing import CaptureSender


class Switch(CaptureSender):
    """A broker that is away until a test switches it on."""

    is_there = False

    async def connect(self) -> None:
        if not self.is_there:
            raise ConnectionError("away")
        await super().connect()


def emit(telemetry: Telemetry, count: int) -> None:
    for _ in range(count):
        telemetry.emit({"type": "request"})


def books(telemetry: Telemetry) -> int:
    """Events unaccounted for: some, for the moment in which they are encoded."""
    stats = telemetry.stats()
    ended = stats.delivered + stats.failed + stats.dropped_total
    return stats.emitted + stats.adopted - ended - stats.queued - stats.spooled


def seqs(sender: CaptureSender) -> list[int]:
    return [event["seq"] for event in sender.events if event["type"] == "request"]


def test_a_setting_that_can_not_be_used_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(SettingsError, match=r"TOKENTIDE_SPOOL_DIR=.*is a file; give a directory"):
        Settings.load({}, {"TOKENTIDE_SPOOL_DIR": str(path)})
    with pytest.raises(SettingsError, match=r"spool_max_bytes=5: out of range; give .* bytes"):
        Settings.load({"spool_max_bytes": 5}, {})
    relative = Settings.load({"spool_dir": "spool"}, {}).spool_dir
    assert relative == str(Path.cwd() / "spool"), "the service may change its directory later"


def test_an_outage_goes_to_the_disk_and_comes_back_in_order(tmp_path: Path) -> None:
    sender = Switch()
    telemetry = Telemetry(
        sender=sender, spool_dir=str(tmp_path / "spool"), linger_ms=1, backlog_bytes=1024
    )
    emit(telemetry, 50)
    until(lambda: telemetry.stats().spooled == 50)
    for _ in range(20):
        emit(telemetry, 1000)
        until(lambda: telemetry.stats().queued == 0)
    stats = telemetry.stats()
    assert (stats.emitted, stats.spooled, stats.delivered, stats.dropped_total) == (
        20_050,
        20_050,
        0,
        0,
    )
    assert stats.spool_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.seg")), (
        "the bytes are those of the files"
    )
    assert telemetry.flush(0.01) is False, "on the disk is not delivered"
    sender.is_there = True
    assert telemetry.flush(30)
    emit(telemetry, 10)
    telemetry.close(5)
    assert seqs(sender) == list(range(20_060))
    stats = telemetry.stats()
    assert (stats.spooled, stats.spool_bytes, stats.adopted) == (0, 0, 0)
    assert stats.replayed >= 20_050
    assert stats.delivered == stats.emitted == 20_061
    assert list((tmp_path / "spool").iterdir()) == []
    last = next(e for e in reversed(sender.events) if e["type"] == "stats")
    assert int(last["tags"]["replayed"]) >= 20_050


def test_without_an_outage_nothing_touches_the_disk(tmp_path: Path) -> None:
    sender = CaptureSender()
    with Telemetry(sender=sender, spool_dir=str(tmp_path / "spool")) as telemetry:
        emit(telemetry, 1000)
        assert telemetry.flush(10)
    assert not (tmp_path / "spool").exists()


def test_a_full_spool_falls_back_to_memory_and_then_drops_and_counts(tmp_path: Path) -> None:
    sender = Switch()
    telemetry = Telemetry(
        sender=sender,
        spool_dir=str(tmp_path),
        spool_max_bytes=1 << 20,
        backlog_bytes=300_000,
        queue_events=1000,
        linger_ms=1,
    )
    while telemetry.stats().dropped_total < 1000 or telemetry.stats().spooled <= 500:
        telemetry.emit({"type": "request", "usage_raw": os.urandom(1000).hex()})
    until(lambda: books(telemetry) == 0)
    stats = telemetry.stats()
    assert stats.dropped == {"queue_full": stats.dropped_total}
    assert stats.spool_bytes <= 1 << 20
    assert stats.spooled > 500
    assert stats.queued > 500
    sender.is_there = True
    assert telemetry.flush(30)
    telemetry.close(5)
    stats = telemetry.stats()
    arrived = seqs(sender)
    assert arrived == sorted(set(arrived))
    assert len(arrived) + stats.dropped_total == stats.emitted - 1  # its own `stats` event
    assert stats.delivered + stats.dropped_total == stats.emitted


def test_closing_keeps_the_rest_and_the_next_producer_delivers_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Telemetry(sender=Switch(), spool_dir=str(tmp_path), linger_ms=1)
    emit(first, 700)
    until(lambda: first.stats().retries > 0)
    started_s = time.monotonic()
    first.close(30)
    assert time.monotonic() - started_s < 20, "on the disk there is nothing to wait for"
    stats = first.stats()
    assert (stats.queued, stats.dropped_total, stats.spooled) == (0, 0, 701)
    assert stats.emitted == 701
    assert "701 events on the disk" in caplog.text
    sender = CaptureSender()
    second = Telemetry(sender=sender, spool_dir=str(tmp_path))
    emit(second, 10)
    until(lambda: second.stats().replayed == 701)
    second.close(5)
    stats = second.stats()
    assert (stats.emitted, stats.adopted, stats.delivered) == (11, 701, 712)
    assert seqs(sender).count(0) == 2, "each producer has its own first event"
    by_producer = [f.producer_id for f in sender.frames if f.producer_id]
    assert set(by_producer) == {first.stats().producer_id}
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_can_not_be_used_changes_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "spool"
    sender = Switch()
    telemetry = Telemetry(sender=sender, spool_dir=str(directory / "x"), linger_ms=1)
    directory.write_text("in the way")
    emit(telemetry, 500)
    until(lambda: telemetry.stats().spool_errors > 0)
    sender.is_there = True
    assert telemetry.flush(10)
    telemetry.close(5)
    assert seqs(sender) == list(range(500))
    assert len([m for m in caplog.messages if "cannot be used" in m]) == 1


def test_a_broker_that_never_answers_leaves_time_to_save_what_is_left(tmp_path: Path) -> None:
    telemetry = Telemetry(sender=StuckSender(), spool_dir=str(tmp_path), queue_events=20_000)
    emit(telemetry, 20_000)
    assert telemetry.stats().retries == 0, "it is not yet known to be away"
    telemetry.close(1.0)
    stats = telemetry.stats()
    assert stats.dropped_total == 0
    assert stats.spooled == stats.emitted == 20_000
