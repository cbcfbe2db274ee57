"""Question: what CPU does recording add to a call of a provider's client, and to a streamed chunk?

Real clients of OpenAI and Anthropic over a transport in memory; recorded by the least that can
record (`bench.bare_wrapper`: times, and one fixed event), by `tokentide.instrument()`,
by OpenInference and by OpenLLMetry, the two with a batch processor whose spans go nowhere. Each
runs in processes of its own, one after another, in turns with the others round by round: two
processes differ by how their memory happens to lie. The median of all rounds counts. `caller` is
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
PROCESSES = 6
ROUNDS = 20
"""In each process."""
COUNTS = {"call": 40, "stream": 4}
"""Calls of each kind in one round: a few hundredths of a second, so that both halves of a round see
the same machine."""
CEILINGS = {"call_of_openinference": 0.05}
"""The SDK may add at most this part of what OpenInference adds; the rest is for comparison."""
KEPT = 0.75
"""Part of a round's calls that count: in the slowest the machine did something else."""


def measure(processes: int = PROCESSES) -> dict[str, object]:
    """Return microseconds added per call and per chunk by each contestant, and the ceiling."""
    result: dict[str, object] = {}
    for client in CLIENTS:
        result[client] = _client(client, processes)
    say("in a loop")
    result["in_a_loop"] = producer_alone.measure()
    return {**result, "ceilings": CEILINGS}


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


Samples = dict[tuple[str, str], list[dict[str, Any]]]
"""Answers of contestants by name and kind of call, round by round of all their processes."""
LABELS = ("caller", "process")


def _client(client: str, processes: int) -> dict[str, object]:
    samples: Samples = {}
    for number in range(processes):
        say(f"{client}: process {number + 1} of {processes}")
        chunks = _take_samples(client, samples)
    per_call = _added(samples, "call")
    per_stream = _added(samples, "stream")
    per_chunk = {
        name: {
            label: round((per_stream[name][label] - per_call[name][label]) / chunks, 3)
            for label in LABELS
        }
        for name in CONTESTANTS
    }
    bare = {
        f"{kind}_us": round(statistics.median(_bare_us(samples, "wrapper", kind, "caller")), 1)
        for kind in COUNTS
    }
    return {
        "bare": {**bare, "chunks": chunks},
        "added_us_per_call": per_call,
        "added_us_per_chunk": per_chunk,
        "tokentide_call_of": _ratios(per_call),
        "tokentide_chunk_of": _ratios(per_chunk),
    }


def _take_samples(client: str, samples: Samples) -> int:
    """Add the answers of one more process of each contestant; return the chunks of a stream."""
    with _processes(client) as processes:
        for _ in range(ROUNDS):
            for kind, count in COUNTS.items():
                for name, process in processes.items():
                    answer = process.run(kind, count)
                    if answer["recorded"] < count:
                        raise RuntimeError(f"{name} recorded {answer['recorded']} of {count}")
                    samples.setdefault((name, kind), []).append(answer)
        return processes["wrapper"].chunks


def _us(timed: dict[str, Any], label: str, count: int) -> float:
    """Return microseconds of one call or stream of a round."""
    if label == "process":
        return float(timed["process"]) / count / 1000
    each_ns = sorted(timed["caller"])
    return statistics.fmean(each_ns[: int(KEPT * len(each_ns))]) / 1000


def _bare_us(samples: Samples, name: str, kind: str, label: str) -> list[float]:
    """Return microseconds without a contestant, of its own process where that was measured."""
    answers = samples[name, kind]
    if not answers[0]["without"]:
        answers = samples["wrapper", kind]
    return [_us(answer["without"], label, COUNTS[kind]) for answer in answers]


def _added(samples: Samples, kind: str) -> Added:
    """Return what each contestant adds: the median of all rounds."""
    return {
        name: {
            label: round(
                statistics.median(
                    _us(answer["with"], label, COUNTS[kind]) - bare_us
                    for answer, bare_us in zip(
                        samples[name, kind], _bare_us(samples, name, kind, label), strict=True
                    )
                ),
                3,
            )
            for label in LABELS
        }
        for name in CONTESTANTS
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
