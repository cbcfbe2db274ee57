"""Stopped, killed and started again on one directory: everything ever sent is there, once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.end_to_end.restarting import (
    PARTITIONS,
    Hammering,
    Sent,
    Up,
    book,
    current,
    send_by_sdk,
    send_plainly,
    stored,
    wait_until,
)
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH, in_thorough
from tokentide_jobs.io.kafka.offsets import end_offsets
from tokentide_jobs.settings import Settings

pytestmark = pytest.mark.integration

RESTARTS = int(os.environ.get("TOKENTIDE_TEST_RESTARTS", "1"))
"""Three in a thorough run."""
NOWHERE = dict.fromkeys(range(PARTITIONS), 0)


def traffic(up: Up, sent: Sent, run: int) -> None:
    # First, so that in every run the same offsets hold the same kind of record.
    send_plainly(up, sent, records_per_partition=10, seed=1_000 + run)
    send_by_sdk(up, sent, calls=300 if IS_THOROUGH else 100, seed=run)


def committed(up: Up) -> dict[int, int]:
    """Where the group of the workers stands, by partition; 0 where it never was."""

    async def ask() -> dict[int, int]:
        group = Settings.from_env({}).group
        consumer = AIOKafkaConsumer(
            bootstrap_servers=up.kafka, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(up.topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            return {tp.partition: await consumer.committed(tp) or 0 for tp in partitions}
        finally:
            await consumer.stop()

    return asyncio.run(ask())


def log_ends(up: Up) -> dict[int, int]:
    return asyncio.run(end_offsets(up.kafka, up.topic))


def group_is_at_the_end(up: Up) -> bool:
    return committed(up) == log_ends(up)


def reads_it_all(up: Up) -> bool:
    assigned = [at for at in up.worker_log("partition_assigned") if at["log_id"] == up.log_id]
    return {at["partition"] for at in assigned} == set(range(PARTITIONS))


def assert_all_is_there_once(up: Up, sent: Sent) -> dict[str, Any]:
    report = up.verified()
    assert stored(up) == sent.totals()
    assert report["kafka_events"] == sent.events + sent.dead_letters
    assert report["raw_events"] == report["window_events"] == sent.events
    assert report["dead_letters"] == sent.dead_letters
    assert report["repeated_event_ids"] == 0
    by_log = Counter[str]()
    for part in report["per_partition"]:
        by_log[part["log_id"]] += part["raw_events"]
    assert by_log == sent.by_log
    return report


def test_on_kafka_a_stop_or_kill_9_with_traffic_goes_on_where_the_log_and_the_group_were(
    tmp_path: Path, prepared: Prepared
) -> None:
    prepared(tmp_path / "data")
    sent = Sent()
    log_id, ends, group = "", NOWHERE, NOWHERE
    for run in range(1 + RESTARTS):
        with Up(tmp_path / "data", "kafka") as up:
            log_id = log_id or up.log_id
            assert up.log_id == log_id
            assert log_ends(up) == ends, "no record was taken back, none was added"
            assert all(at >= group[partition] for partition, at in committed(up).items())
            # The last stop left unread events: they are read now.
            if run:
                assert_all_is_there_once(up, sent)
                wait_until(
                    partial(group_is_at_the_end, up), 60, "the group at the end of the log", 0.5
                )
            traffic(up, sent, run)
            ends, group = log_ends(up), committed(up)
            if run == RESTARTS:
                report = assert_all_is_there_once(up, sent)
                assert report["log_ids"] == [log_id]
                assert {p["partition"]: p["log_end"] for p in current(report)} == ends
                # What workers report when group and ledger disagree, or records expired.
                for finding in (
                    "committed_beyond_log_end",
                    "committed_behind_ledger",
                    "records_expired_unread",
                ):
                    assert up.worker_log(finding) == []
                before, hammering = plain_ids(up), killed_amid_traffic(up)
            else:
                up.stop()
    assert_what_was_acknowledged_is_there_once(tmp_path, sent, before, hammering)


def plain_ids(up: Up) -> set[str]:
    """Ids of the stored calls of the service without SDK, none of them stored twice."""
    rows = up.rows(
        "SELECT toString(event_id) FROM tokentide.raw_requests WHERE service = 'restarted-plain'"
    )
    found = {str(event_id) for (event_id,) in rows}
    assert len(rows) == len(found), "none twice"
    return found


def killed_amid_traffic(up: Up) -> Hammering:
    """Kill the owner of the stack while a service sends and a worker stores."""
    batches = len(up.worker_log("batch_done"))
    with Hammering(up, seed=2) as hammering:
        wait_until(
            lambda: (
                len(hammering.acknowledged) > 500 and len(up.worker_log("batch_done")) > batches
            ),
            90,
            "traffic in full flow",
        )
        up.kill()
    assert hammering.acknowledged < set(hammering.attempted)
    return hammering


def assert_what_was_acknowledged_is_there_once(
    tmp_path: Path, sent: Sent, before: set[str], hammering: Hammering
) -> None:
    """Start again where the owner was killed."""
    with Up(tmp_path / "data", "kafka") as up:
        assert set(sent.by_log) == {up.log_id}
        up.verified()
        arrived = plain_ids(up) - before
        # A record that was on its way when the broker died is whole or absent.
        assert hammering.acknowledged <= arrived <= set(hammering.attempted)
        for event_id in arrived:
            book(sent, hammering.attempted[event_id])
        sent.by_log[up.log_id] += len(arrived)
        send_plainly(up, sent, records_per_partition=5, seed=3)
        assert_all_is_there_once(up, sent)
        up.stop()


@in_thorough  # test_lifecycle.py starts and stops Tansu, without traffic
def test_on_tansu_each_start_begins_another_log_and_nothing_of_it_is_taken_for_old(
    tmp_path: Path, prepared: Prepared
) -> None:
    prepared(tmp_path / "data")
    sent = Sent()
    for run in range(1 + RESTARTS):
        with Up(tmp_path / "data", "tansu") as up:
            assert up.log_id not in sent.by_log
            assert log_ends(up) == NOWHERE
            if run:
                # The logs of before are gone, their rows are not.
                report = assert_all_is_there_once(up, sent)
                assert {up.log_id, *sent.by_log} == set(report["log_ids"])
                assert {part["log_id"] for part in current(report)} == {up.log_id}
            wait_until(partial(reads_it_all, up), 60, "a worker that reads this log")
            # No time is given to read it: an orderly stop lets the workers come to its end.
            traffic(up, sent, run)
            if run == RESTARTS:
                assert_all_is_there_once(up, sent)
                firsts = up.rows(
                    "SELECT log_id, _partition, min(_offset) FROM tokentide.raw_requests"
                    " GROUP BY log_id, _partition"
                )
                assert len(firsts) == (1 + RESTARTS) * PARTITIONS
                assert {offset for _log_id, _partition, offset in firsts} == {0}
            up.stop()
