"""Question: what CPU does recording add to a call of a provider's client, and to a streamed chunk?

Real clients of OpenAI and Anthropic over a transport in memory; recorded by the least that can
record (`bench.bare_wrapper`: times, and one fixed event), by `tokentide.instrument()`,
by OpenInference and by OpenLLMetry, the two with a batch processor whose spans go nowhere. Each
runs in processes of its own, one after another, in turns with the others round by round: two
processes differ by how their memory happens to lie, so the median of several is taken. `caller` is
the thread that makes the call; `process` includes the background thread and the draining of
everything recorded. A chunk's figure is that of a whole stream without what a call costs anyway,
divided by its chunks.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench import producer_alone
from bench.progress import say

CLIENTS = ("openai", "anthropic")
CONTESTANTS = ("wrapper", "tokentide", "openinference", "openllmetry")
PROCESSES = 7
ROUNDS = 12
"""In each process."""
COUNTS = {"call": 40, "stream": 4}
"""Calls of each kind in one round: a few hundredths of a second, so that both halves of a round see
the same machine."""
KEPT = 0.75
"""Part of the samples that count: in the slowest the machine did something else."""


def measure(processes: int = PROCESSES) -> dict[str, object]:
    """Return microseconds added per call and per chunk by each contestant, and the targets."""
    result: dict[str, object] = {}
    for client in CLIENTS:
        result[client] = _client(client, processes)
    say("in a loop")
    result["in_a_loop"] = producer_alone.measure()
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


Added = dict[str, dict[str, float]]
"""Microseconds by contestant, then by `caller` and `process`."""


def _client(client: str, processes: int) -> dict[str, object]:
    bare: dict[str, list[float]] = {kind: [] for kind in COUNTS}
    calls: list[Added] = []
    chunks: list[Added] = []
    for number in range(processes):
        say(f"{client}: process {number + 1} of {processes}")
        samples, chunk_count = _samples(client)
        per_call = {name: _added(samples, name, "call") for name in CONTESTANTS}
        per_stream = {name: _added(samples, name, "stream") for name in CONTESTANTS}
        calls.append(per_call)
        chunks.append(
            {
                name: {
                    label: (value - per_call[name][label]) / chunk_count
                    for label, value in added.items()
                }
                for name, added in per_stream.items()
            }
        )
        for kind in COUNTS:
            bare[kind].append(_bare(samples, "wrapper", kind, "caller"))
    per_call, per_chunk = _medians(calls), _medians(chunks)
    return {
        "bare": {
            **{f"{kind}_us": round(statistics.median(found), 1) for kind, found in bare.items()},
            "chunks": chunk_count,
        },
        "added_us_per_call": per_call,
        "added_us_per_chunk": per_chunk,
        "tokentide_call_of": _ratios(per_call),
        "tokentide_chunk_of": _ratios(per_chunk),
        "spread_us_per_call": _spread(calls),
        "spread_us_per_chunk": _spread(chunks),
    }


Samples = dict[tuple[str, str], list[dict[str, Any]]]


def _samples(client: str) -> tuple[Samples, int]:
    """Return the answers of one process of each contestant, and the chunks of a stream."""
    samples: Samples = {}
    with _processes(client) as processes:
        for _ in range(ROUNDS):
            for kind, count in COUNTS.items():
                for name, process in processes.items():
                    answer = process.run(kind, count)
                    if answer["recorded"] < count:
                        raise RuntimeError(f"{name} recorded {answer['recorded']} of {count}")
                    samples.setdefault((name, kind), []).append(answer)
        return samples, processes["wrapper"].chunks


def _mean_us(answers: list[dict[str, Any]], when: str, label: str, count: int) -> float:
    """Return the mean of what counts, in microseconds for one call or stream."""
    if label == "caller":
        found = [ns for answer in answers for ns in answer[when]["caller"]]
    else:
        found = [answer[when]["process"] / count for answer in answers]
    found.sort()
    return statistics.fmean(found[: int(KEPT * len(found))]) / 1000


def _bare(samples: Samples, name: str, kind: str, label: str) -> float:
    """Return microseconds without a contestant, in its own process where it can be told."""
    answers = samples[name, kind]
    if not answers[0]["without"]:
        answers = samples["wrapper", kind]
    return _mean_us(answers, "without", label, COUNTS[kind])


def _added(samples: Samples, name: str, kind: str) -> dict[str, float]:
    """Return what a contestant adds in microseconds, in the calling thread and in the process."""
    return {
        label: _mean_us(samples[name, kind], "with", label, COUNTS[kind])
        - _bare(samples, name, kind, label)
        for label in ("caller", "process")
    }


def _medians(found: list[Added]) -> Added:
    return {
        name: {
            label: round(statistics.median(added[name][label] for added in found), 3)
            for label in ("caller", "process")
        }
        for name in CONTESTANTS
    }


def _spread(found: list[Added]) -> dict[str, list[float]]:
    """Return what the caller's thread of each process measured, from the least to the most."""
    return {
        name: sorted(round(added[name]["caller"], 2) for added in found) for name in CONTESTANTS
    }


def _ratios(added: Added) -> dict[str, float]:
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
        print(name, json.dumps(_client(name, int(sys.argv[1]) if sys.argv[1:] else 2), indent=2))
