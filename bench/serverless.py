"""Question: what does a flush at the end of every invocation of a serverless function add?

One event and one flush an invocation, against a Kafka of its own on this machine; a function in a
data centre adds its network round trip. The function is a process of its own, because the first
invocation also starts the thread, imports aiokafka and connects. Frozen, it is stopped by a signal
between two invocations.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.io.kafka.admin import ensure_topics

STARTS = 5
"""Functions that are started, one after the other."""


def measure() -> dict[str, object]:
    """Return milliseconds that `flush` adds to the first, to a later and to a thawed invocation."""
    runs = []
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as folder:
        broker = choose_broker("kafka", Path(folder))
        broker.start()
        try:
            asyncio.run(ensure_topics(broker.bootstrap))
            for _ in range(STARTS):
                command = [sys.executable, "-m", "bench.serverless_function", broker.bootstrap]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
                runs.append(json.loads(done.stdout))
        finally:
            broker.stop()
    later = sorted(ms for run in runs for ms in run["later_ms"])
    thawed = [ms for run in runs for ms in run["thawed_ms"]]
    return {
        "first_ms_median": round(statistics.median(run["first_ms"] for run in runs), 1),
        "later_ms_p50": round(statistics.median(later), 2),
        "later_ms_p95": round(later[int(len(later) * 0.95)], 2),
        "thawed_ms_median": round(statistics.median(thawed), 2),
        "thawed_ms_max": round(max(thawed), 2),
        "invocations": len(later) + len(thawed) + len(runs),
        "delivered": sum(run["delivered"] for run in runs),
    }
