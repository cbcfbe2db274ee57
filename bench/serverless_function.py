"""The function that `bench.serverless` invokes: a process that imports what such a function would.

Prints the milliseconds that the flush at the end of each invocation took.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import tokentide

INVOCATIONS = 300
FROZEN = 5
FROZEN_S = 2.0


def run(bootstrap: str) -> None:
    """Be invoked many times, then frozen and thawed between invocations."""
    telemetry = tokentide.Telemetry(service="bench-serverless", bootstrap=bootstrap)

    def invoke_ms() -> float:
        with telemetry.request(provider="openai", request_model="gpt-5-mini") as call:
            call.record_usage(input_tokens=10, output_tokens=2)
        began_ns = time.perf_counter_ns()
        if not telemetry.flush(30.0):
            raise RuntimeError(f"not delivered: {telemetry.stats()}")
        return (time.perf_counter_ns() - began_ns) / 1e6

    first_ms = invoke_ms()
    later_ms = [invoke_ms() for _ in range(INVOCATIONS)]
    thawed_ms = []
    for _ in range(FROZEN):
        _freeze()
        thawed_ms.append(invoke_ms())
    delivered = telemetry.stats().delivered
    json.dump(
        {
            "first_ms": first_ms,
            "later_ms": later_ms,
            "thawed_ms": thawed_ms,
            "delivered": delivered,
        },
        sys.stdout,
    )


def _freeze() -> None:
    """Stop this process, all its threads, until a child of its own wakes it."""
    waker = subprocess.Popen(
        ["sh", "-c", 'sleep "$1"; kill -CONT "$2"', "sh", str(FROZEN_S), str(os.getpid())]
    )
    threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGSTOP)
    waker.wait()


if __name__ == "__main__":
    run(sys.argv[1])
