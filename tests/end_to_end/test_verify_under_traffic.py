"""`tokentide verify` while events arrive: no sum is called equal that is not, and none is missed.

`TOKENTIDE_TEST_VERIFY_RUNS` says how often it is run; CI takes a sample.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH
from tokentide_jobs.cli.exit_codes import EXIT_NOTHING_PROVEN
from tokentide_jobs.cli.main import main
from tokentide_jobs.embedded.stack.discovery import StackInfo
from tokentide_jobs.embedded.stack.stack import Stack

pytestmark = pytest.mark.integration

RUNS = int(os.environ.get("TOKENTIDE_TEST_VERIFY_RUNS", "2"))
FRAME = 40
PAUSE_S = 0.01 if IS_THOROUGH else 0.15
BATCH_AGE_MS = 100 if IS_THOROUGH else 1_500
"""Some batch of the four partitions is always being written, and no core is full of them."""


def event(rng: random.Random) -> bytes:
    """Make a call of this moment, or one late by up to an hour: windows of all ages move."""
    late_us = rng.randrange(3_600_000_000) if rng.random() < 0.02 else 0
    return json.dumps(
        {
            "type": "request", "event_id": str(uuid.uuid4()), "service": f"s{rng.randrange(20)}",
            "provider": "openai", "started_at_us": time.time_ns() // 1_000 - late_us,
            "operation": "chat", "status": "ok", "request_model": "gpt-5.4-mini",
            "duration_ms": 10.0, "input_tokens": rng.randrange(10_000),
            "output_tokens": rng.randrange(1_000), "run_id": f"run-{rng.randrange(50)}",
            "user_hash": rng.choice(["", "ann", "bob"]),
        }
    ).encode()  # fmt: skip


async def send_until(info: StackInfo, ending: threading.Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=info.kafka, acks="all", linger_ms=5)
    rng = random.Random(7)
    await producer.start()
    try:
        while not ending.is_set():
            frame = b"\n".join(event(rng) for _ in range(FRAME))
            await producer.send_and_wait(info.events_topic, frame, partition=rng.randrange(4))
            await asyncio.sleep(PAUSE_S)
    finally:
        await producer.stop()


@contextmanager
def traffic(info: StackInfo) -> Iterator[None]:
    ending = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(send_until(info, ending)))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def wait_for_a_finished_window(data_dir: Path) -> None:
    """Wait until there is something to prove: a slow machine starts its worker late."""
    give_up_s = time.monotonic() + 120
    while main(["verify", "--json", "--data-dir", str(data_dir)]) == EXIT_NOTHING_PROVEN:
        assert time.monotonic() < give_up_s
        time.sleep(3)  # each look reads the whole log: without a pause it takes a core
    time.sleep(11)


def test_no_unequal_sum_is_ever_called_ok_under_live_traffic(
    tmp_path: Path, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {**os.environ, "TOKENTIDE_BATCH_AGE_MS": str(BATCH_AGE_MS)}
    with Stack(prepared(tmp_path), broker="tansu", workers=1, environ=environ) as stack:
        with traffic(stack.info):
            wait_for_a_finished_window(tmp_path)
            capsys.readouterr()
            left_out = 0
            for run in range(20 * RUNS):
                if run >= RUNS and left_out:
                    break
                capsys.readouterr()
                code = main(["verify", "--json", "--data-dir", str(tmp_path)])
                report = json.loads(capsys.readouterr().out)
                assert (code, report["ok"], report["mismatches"]) == (0, True, []), run
                assert report["raw_cost_usd"] == report["window_cost_usd"]
                assert report["window_raw_events"] == report["window_events"] > 0
                assert report["windows_compared"] > 0
                left_out += report["windows_left_out"]
                code = main(["verify", "--data-dir", str(tmp_path)])
                printed = capsys.readouterr().out
                assert code == 0, printed
                amounts = set(re.findall(r"money, \S+(?: rows)? +\$([\d.]+)", printed))
                assert len(amounts) == 1, printed
                assert f"${amounts.pop()}, to the pico-dollar as the rows" in printed
            assert left_out > 0, "nothing was in flight: this proves nothing"
        capsys.readouterr()
        assert main(["verify", "--wait", "120", "--json", "--data-dir", str(tmp_path)]) == 0
        at_rest = json.loads(capsys.readouterr().out)
        assert at_rest["windows_left_out"] == at_rest["in_flight_events"] == 0
        assert at_rest["window_events"] == at_rest["raw_events"] == at_rest["kafka_events"]
