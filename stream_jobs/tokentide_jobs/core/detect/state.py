"""What detectors remember: one packed array a field, for every metric and key, and its bytes.

Arrays are (component, metric, key), the keys side by side, so that one window touches contiguous
memory. The bytes begin with a version; bytes of another layout are unreadable, and are relearned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.spread import CLASSES
from tokentide_jobs.core.detect.window_metrics import METRICS

__all__ = ["BYTES_PER_METRIC", "FIELDS", "NEVER", "STREAMS", "DetectorState", "UnreadableState"]

_MAGIC: Final = b"TTD1"
_FIRST_CAPACITY: Final = 16

STREAMS: Final = 4
NEVER: Final = 255
"""Windows since the last hit of a gate, where there was none or it is long ago."""


@dataclass(frozen=True, slots=True)
class Field:
    """One array: how many components of which type each metric of each key has."""

    name: str
    dtype: str
    components: int
    initial: float = 0


FIELDS: Final = (
    # what is expected: 48 buckets of the week, 24 of the day
    Field("season", "<f4", 48),
    Field("season_seen", "u1", 48),
    Field("hours", "<f4", 24),
    Field("hours_seen", "u1", 24),
    # running levels: rates 0.08, 0.10, 0.01, 0.02, and 0.15 of the residual
    Field("level", "<f4", 1),
    Field("macd_fast", "<f4", 1),
    Field("macd_slow", "<f4", 1),
    Field("gate_slow", "<f4", 1),
    Field("gate_residual", "<f4", 1),
    Field("updates", "<u4", 1),
    Field("first_window", "<u4", 1),
    Field("seen_window", "<u4", 1),
    # tier A
    Field("low", "<f4", STREAMS, np.nan),
    Field("high", "<f4", STREAMS, np.nan),
    Field("throttle", "<f4", 1),
    Field("refractory", "<f4", 1),
    # the gate of tier B: its bounds, and those that it will have if an excursion proves harmless
    Field("gate_low", "<f4", STREAMS, np.nan),
    Field("gate_high", "<f4", STREAMS, np.nan),
    Field("wider_low", "<f4", STREAMS, np.nan),
    Field("wider_high", "<f4", STREAMS, np.nan),
    Field("since_hit", "u1", 1, NEVER),
    # levels: what waits for more observations, and the spread by class of n; running means
    Field("pooled_n", "<f4", 1),
    Field("pooled_residual", "<f4", 1),
    Field("hour_n", "<f4", 1),
    Field("hour_residual", "<f4", 1),
    Field("sigmas", "<f4", CLASSES),
    Field("sigmas_seen", "u1", CLASSES),
    Field("total", "<f4", 1),
    Field("observed", "<f4", 1),
    # the two tests of each metric
    Field("evidence", "<f4", 2),
    Field("onset_window", "<u4", 2),
    Field("opened_window", "<u4", 2),
    Field("closed_window", "<u4", 2),
    Field("is_open", "?", 2),
    Field("quiet_windows", "u1", 2),
)
BYTES_PER_METRIC: Final = sum(np.dtype(f.dtype).itemsize * f.components for f in FIELDS)
"""State of one metric of one key, packed."""


class UnreadableState(ValueError):
    """Bytes that are no state of this version; what they held is learned again."""


class DetectorState:
    """The memory of detectors: keys, their places, and one array a field.

    Attributes:
        last_window: Number of the newest window seen, -1 before the first.
        has_lost_alarms: A key was forgotten whose alarm was open: its end will not be reported.
            The caller that takes note of it resets it; it is no part of the bytes.
    """

    def __init__(self) -> None:
        self.last_window = -1
        self.has_lost_alarms = False
        self._keys: list[str] = []
        self._places: dict[str, int] = {}
        self._arrays = {field.name: _empty(field, _FIRST_CAPACITY) for field in FIELDS}

    @property
    def keys(self) -> Sequence[str]:
        """Every key, by its place."""
        return self._keys

    def array(self, name: str) -> NDArray[Any]:
        """Return a field, to be read and changed in place: component, metric, key.

        The view is good until a key is added or forgotten.
        """
        return self._arrays[name][:, :, : len(self._keys)]

    def holds(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """Tell of each key whether it is known."""
        known = self._places
        return np.fromiter((key in known for key in keys), np.bool_, len(keys))

    def places_of(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Return the place of each key; keys that are new get one."""
        known = self._places
        for key in keys:
            if key not in known:
                known[key] = len(self._keys)
                self._keys.append(key)
        self._reserve(len(self._keys))
        return np.fromiter((known[key] for key in keys), np.int64, len(keys))

    def keep_only(self, kept: NDArray[np.bool_]) -> None:
        """Forget the keys that are not kept; the others move together, in order."""
        self.has_lost_alarms |= bool(self.array("is_open")[:, :, ~kept].any())
        self._arrays = {
            name: np.ascontiguousarray(self.array(name)[:, :, kept]) for name in self._arrays
        }
        self._keys = [key for key, is_kept in zip(self._keys, kept, strict=True) if is_kept]
        self._places = {key: place for place, key in enumerate(self._keys)}

    def take_over(self, other: DetectorState) -> None:
        """Take over every key of another state as it is there; none of them may be known here."""
        places = self.places_of(other.keys)
        for field in FIELDS:
            self.array(field.name)[:, :, places] = other.array(field.name)
        self.last_window = max(self.last_window, other.last_window)

    def to_bytes(self) -> bytes:
        """Return everything as bytes that `from_bytes` reads back, bit for bit."""
        head = json.dumps(
            {"layout": _layout(), "last_window": self.last_window, "keys": self._keys}
        ).encode()
        parts = [_MAGIC, len(head).to_bytes(8, "little"), head]
        parts += [self.array(field.name).tobytes() for field in FIELDS]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> DetectorState:
        """Read a state.

        Raises:
            UnreadableState: The bytes are none, are cut, or have another version or layout.
        """
        if data[:4] != _MAGIC:
            raise UnreadableState(f"state begins with {data[:4]!r}, expected {_MAGIC!r}")
        begin = 12 + int.from_bytes(data[4:12], "little")
        try:
            head = json.loads(data[12:begin])
            layout, keys = head["layout"], list(head["keys"])
            last_window = int(head["last_window"])
        except (ValueError, KeyError, TypeError) as exc:
            raise UnreadableState(f"the head of the state cannot be read: {exc}") from None
        if layout != _layout():
            raise UnreadableState("the state has another layout than this version")
        wanted = begin + BYTES_PER_METRIC * len(METRICS) * len(keys)
        if len(data) != wanted:
            raise UnreadableState(f"the state has {len(data)} bytes, expected {wanted}")
        state = cls()
        state.last_window = last_window
        state._keys = keys
        state._places = {key: place for place, key in enumerate(keys)}
        for field in FIELDS:
            shape = (field.components, len(METRICS), len(keys))
            count = field.components * len(METRICS) * len(keys)
            flat = np.frombuffer(data, field.dtype, count, begin)
            state._arrays[field.name] = flat.reshape(shape).copy()
            begin += flat.nbytes
        return state

    def _reserve(self, size: int) -> None:
        capacity = self._arrays[FIELDS[0].name].shape[2]
        if size <= capacity:
            return
        for field in FIELDS:
            grown = _empty(field, max(size, 2 * capacity))
            grown[:, :, :capacity] = self._arrays[field.name]
            self._arrays[field.name] = grown


def _empty(field: Field, capacity: int) -> NDArray[Any]:
    shape = (field.components, len(METRICS), capacity)
    return np.full(shape, field.initial, dtype=np.dtype(field.dtype))


def _layout() -> list[list[object]]:
    names: list[object] = [metric.name for metric in METRICS]
    return [names, *([f.name, f.dtype, f.components] for f in FIELDS)]
