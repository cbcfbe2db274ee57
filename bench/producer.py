"""Question: what CPU does recording add to a call of a provider's client, and to a streamed chunk?

Real clients of OpenAI and Anthropic over a transport in memory; recorded by the least that can
record (a plain wrapper that takes times and queues one fixed event), by `tokentide.instrument()`,
by OpenInference and by OpenLLMetry, the two with a batch processor whose spans go nowhere. Each
runs in a process of its own, in turns, round by round. `caller` is the thread that makes the call;
`process` includes the background thread and the draining of everything recorded. A chunk's figure
is that of a whole stream without what a call costs anyway, divided by its chunks.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.progress import say

CLIENTS = ("openai", "anthropic")
CONTESTANTS = ("wrapper", "tokentide", "openinference", "openllmetry")
ROUNDS = 40
COUNTS = {"call": 60, "stream": 4}
"""Calls of each kind in one round: a few hundredths of a second."""


def measure(rounds: int = ROUNDS) -> dict[str, object]:
    """Return microseconds added per call and per chunk by each contestant, and the targets."""
    result: dict[str, object] = {}
    for client in CLIENTS:
        result[client] = _client(client, rounds)
    targets = {
        "call_of_wrapper": 3,
        "chunk_of_wrapper": 1.3,
        "call_of_openinference": 0.05,
        "chunk_of_openinference": 0.05,
    }
    return {**result, "targets": targets}


class _Process:
    """One contestant, waiting for orders."""

    def __init__(self, client: str, contestant: str) -> None:
        command = [sys.executable, "-m", "bench.producer_contestant", client, contestant]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.chunks = int(self._answer()["chunks"])

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"a contestant ended: {self._child.args!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self, kind: str, count: int) -> dict[str, Any]:
        """Return CPU nanoseconds without and with the contestant."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{kind} {count}\n")
        self._child.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._child.communicate(timeout=20)


@contextlib.contextmanager
def _processes(client: str) -> Iterator[dict[str, _Process]]:
    started: dict[str, _Process] = {}
    try:
        for name in CONTESTANTS:
            started[name] = _Process(client, name)
        yield started
    finally:
        for process in started.values():
            process.end()


def _client(client: str, rounds: int) -> dict[str, object]:
    samples: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with _processes(client) as processes:
        chunks = processes["wrapper"].chunks
        for number in range(rounds):
            if number % 10 == 0:
                say(f"{client}: round {number} of {rounds}")
            for kind, count in COUNTS.items():
                for name, process in processes.items():
                    answer = process.run(kind, count)
                    if answer["recorded"] < count:
                        raise RuntimeError(f"{name} recorded {answer['recorded']} of {count}")
                    samples.setdefault((name, kind), []).append(answer)
    per_call = {name: _added(samples, name, "call") for name in CONTESTANTS}
    per_stream = {name: _added(samples, name, "stream") for name in CONTESTANTS}
    per_chunk = {
        name: {
            label: round((value - per_call[name][label]) / chunks, 3)
            for label, value in added.items()
        }
        for name, added in per_stream.items()
    }
    bare = {
        "call_us": round(_bare(samples, "call") / COUNTS["call"] / 1000, 1),
        "stream_us": round(_bare(samples, "stream") / COUNTS["stream"] / 1000, 1),
        "chunks": chunks,
    }
    return {
        "bare": bare,
        "added_us_per_call": per_call,
        "added_us_per_stream": per_stream,
        "added_us_per_chunk": per_chunk,
        "tokentide_call_of": _ratios(per_call),
        "tokentide_chunk_of": _ratios(per_chunk),
    }


Samples = dict[tuple[str, str], list[dict[str, Any]]]


def _low(values: list[float]) -> float:
    """Return the lower quartile: what else runs on the machine only ever adds."""
    return statistics.quantiles(values, n=4)[0]


def _bare(samples: Samples, kind: str, what: int = 1, name: str = "wrapper") -> float:
    """Return nanoseconds of a round without the contestant, in its own process where it can be."""
    found = [float(answer["without"][what]) for answer in samples[name, kind] if answer["without"]]
    return _low(found) if found else _bare(samples, kind, what)


def _added(samples: Samples, name: str, kind: str) -> dict[str, float]:
    """Return what a contestant adds in microseconds, in the calling thread and in the process."""
    added = {}
    for what, label in enumerate(("caller", "process")):
        with_it = _low([float(answer["with"][what]) for answer in samples[name, kind]])
        added_ns = with_it - _bare(samples, kind, what, name)
        added[label] = round(added_ns / COUNTS[kind] / 1000, 3)
    return added


def _ratios(added: dict[str, dict[str, float]]) -> dict[str, float]:
    ours = added["tokentide"]
    return {
        f"{name}_{label}": round(ours[label] / value, 3)
        for name in CONTESTANTS
        if name != "tokentide"
        for label, value in added[name].items()
        if value > 0  # less than the noise otherwise
    }


if __name__ == "__main__":
    for name in CLIENTS:
        print(name, json.dumps(_client(name, int(sys.argv[1]) if sys.argv[1:] else 20), indent=2))
