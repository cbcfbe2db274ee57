"""ServeGen clients: arrivals and token counts as distributions per window, not as single calls.

A file `chunk-N-trace.csv` gives, for windows of 600 s, the arrival family with its parameters; a
`chunk-N-dataset.json` gives the histograms of tokens every six hours. Each field is drawn by
itself: ServeGen's own sampler uses one random number for all, so that long inputs always get long
outputs.
"""

from __future__ import annotations

import ast
import csv
import heapq
import io
import json
import math
import random
import re
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.replay.formats.trace import RecordedCall, Source, bad_line, number_of

__all__ = ["JOINED", "RECORDED", "SOURCE", "Client", "load", "sample"]

SOURCE = Source("ServeGen (Alibaba)", "Apache-2.0", "https://github.com/alibaba/ServeGen")
RECORDED = (
    "request rates, arrival families and token distributions per client and window (ServeGen)",
)
JOINED = (
    "single calls of ServeGen clients: drawn from the recorded distributions, every field by "
    "itself",
)

_MEMBER = re.compile(r"chunk-(\d+)-(trace\.csv|dataset\.json)$")
_WINDOW_S = 600.0


@dataclass(frozen=True, slots=True)
class Discrete:
    """A recorded histogram, ready to draw from."""

    values: tuple[float, ...]
    cumulated: tuple[float, ...]

    def draw(self, random_number: float) -> float:
        """Return the value at `random_number` of [0, 1)."""
        at = bisect_right(self.cumulated, random_number * self.cumulated[-1])
        return self.values[min(at, len(self.values) - 1)]


@dataclass(frozen=True, slots=True)
class Window:
    """Arrivals of one client for 600 seconds: Gamma or Weibull gaps of (shape, scale in s)."""

    start_s: float
    rate_per_s: float
    family: str
    shape: float
    scale: float


@dataclass(slots=True)
class Client:
    """One recorded client."""

    name: str
    windows: list[Window] = field(default_factory=list)
    tokens: list[tuple[float, dict[str, Discrete]]] = field(default_factory=list)
    """(from second, histograms of input_tokens, output_tokens, reason_ratio), ascending."""


def load(path: Path) -> list[Client]:
    """Read all clients of a tar archive or of an unpacked folder.

    Raises:
        ConfigError: A member cannot be read; archive, member and line are named.
    """
    clients: dict[str, Client] = {}
    for member, text in _members(path):
        match = _MEMBER.search(member)
        if match is None:
            continue
        client = clients.setdefault(match[1], Client(match[1]))
        label = f"{path}:{member}"
        if match[2] == "trace.csv":
            client.windows = _windows(text, label)
        else:
            client.tokens = _tokens(text, label)
    if not any(client.windows for client in clients.values()):
        raise ConfigError(f"{path}: no chunk-N-trace.csv inside: expected ServeGen clients")
    return [clients[key] for key in sorted(clients, key=int) if clients[key].windows]


def sample(
    clients: list[Client],
    seed: int,
    *,
    from_s: float = 0.0,
    span_s: float | None = None,
    fallback: list[tuple[int, int]] | None = None,
) -> Iterator[RecordedCall]:
    """Draw the calls of all clients, merged in order of time.

    Args:
        clients: As `load` gives them.
        seed: The same seed draws the same calls.
        from_s: Begin at this second of the recording.
        span_s: End after so many seconds; None: at the end of the recording.
        fallback: (input, output) tokens to draw for clients without histograms of their own.
    """
    until_s = float("inf") if span_s is None else from_s + span_s
    streams = [_draw_client(c, seed, from_s, until_s, fallback) for c in clients]
    return heapq.merge(*streams, key=lambda call: call.at_s)


def _draw_client(
    client: Client,
    seed: int,
    from_s: float,
    until_s: float,
    fallback: list[tuple[int, int]] | None,
) -> Iterator[RecordedCall]:
    rng = random.Random(f"{seed}:{client.name}")  # noqa: S311 - a simulation, not a secret
    begins = [start for start, _ in client.tokens]
    for window in client.windows:
        if window.rate_per_s <= 0 or window.start_s + _WINDOW_S <= from_s:
            continue
        if window.start_s >= until_s:
            return
        hists = _histograms(client, begins, window.start_s)
        if not hists and not fallback:
            continue
        gap = _gaps(rng, window)
        # Arrivals know nothing of the window's edge: begin somewhere inside the first gap.
        at_s = window.start_s + gap() * rng.random()
        end_s = min(window.start_s + _WINDOW_S, until_s)
        while at_s < end_s:
            if at_s >= from_s:
                yield _draw_call(rng, hists, fallback, at_s - from_s, client.name)
            at_s += gap()


def _draw_call(
    rng: random.Random,
    hists: dict[str, Discrete],
    fallback: list[tuple[int, int]] | None,
    at_s: float,
    client: str,
) -> RecordedCall:
    if not hists:
        assert fallback
        given, made = fallback[int(rng.random() * len(fallback))]
        return RecordedCall(at_s, "chat", given, made, lane=client)
    made = int(hists["output_tokens"].draw(rng.random()))
    ratio = hists["reason_ratio"].draw(rng.random()) if "reason_ratio" in hists else None
    return RecordedCall(
        at_s,
        "chat" if ratio is None else "reasoning",
        int(hists["input_tokens"].draw(rng.random())),
        made,
        lane=client,
        reasoning_tokens=None if ratio is None else min(made, round(made * ratio)),
    )


def _histograms(client: Client, begins: list[float], at_s: float) -> dict[str, Discrete]:
    """Return the histograms in force; a period that recorded none uses the latest before it."""
    for place in range(bisect_right(begins, at_s) - 1, -1, -1):
        if client.tokens[place][1]:
            return client.tokens[place][1]
    return next((hists for _, hists in client.tokens if hists), {})


def _gaps(rng: random.Random, window: Window) -> Callable[[], float]:
    """Return draws of the time between two calls, in seconds.

    The fitted family gives the form; its mean is set to the recorded rate, from which the fits
    stray by a factor of two where gaps have long tails.
    """
    shape = window.shape
    if window.family == "Gamma":
        scale = 1 / (window.rate_per_s * shape)
        return lambda: rng.gammavariate(shape, scale)
    scale = 1 / (window.rate_per_s * math.gamma(1 + 1 / shape))
    # The standard library takes the scale first.
    return lambda: rng.weibullvariate(scale, shape)


def _members(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every file of a folder or an archive."""
    if path.is_dir():
        for file in sorted(path.rglob("chunk-*")):
            yield str(file.relative_to(path)), file.read_text(encoding="utf-8")
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member.name, content.read().decode()
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: not a readable tar archive: {exc}") from exc


def _windows(text: str, name: str) -> list[Window]:
    windows: list[Window] = []
    rows = csv.reader(io.StringIO(text))
    for row in rows:
        line = rows.line_num
        if len(row) != 6:
            problem = f"{len(row)} columns: expected start, rate, cv, family, shape, scale"
            raise bad_line(name, line, problem)
        start_s, rate = (number_of(row[i], ("start", "rate")[i], name, line) for i in (0, 1))
        if rate > 0 and row[3] not in ("Gamma", "Weibull"):
            raise bad_line(name, line, f"family is {row[3]!r}: expected Gamma or Weibull")
        shape, scale = (number_of(row[i], ("shape", "scale")[i - 4], name, line) for i in (4, 5))
        if rate > 0 and not (shape > 0 and scale > 0):
            raise bad_line(name, line, f"shape {row[4]} and scale {row[5]}: expected above 0")
        windows.append(Window(start_s, rate, row[3], shape, scale))
    return sorted(windows, key=lambda window: window.start_s)


def _tokens(text: str, name: str) -> list[tuple[float, dict[str, Discrete]]]:
    try:
        periods = json.loads(text)
        return sorted(
            (
                (
                    float(start),
                    {
                        column: _discrete(ast.literal_eval(cells))
                        for column, cells in columns.items()
                        if cells and cells.strip() not in ("", "{}")
                    },
                )
                for start, columns in periods.items()
            ),
            key=lambda period: period[0],
        )
    except (ValueError, SyntaxError, AttributeError, TypeError) as exc:
        problem = f"{name}: {exc}: expected periods of token histograms"
        raise ConfigError(problem) from exc


def _discrete(weights: dict[float, float]) -> Discrete:
    kept = sorted((float(value), float(w)) for value, w in weights.items() if w > 0)
    if not kept or kept[0][0] < 0:
        raise ValueError("a histogram needs values from 0 with a weight above 0")
    values, shares = zip(*kept, strict=True)
    return Discrete(values, tuple(accumulate(shares)))
