"""What the worker that holds the stream reports to services, and from which offsets on.

A successor repeats what was decided since the last snapshot. Its predecessor has reported all of
that and more, so nothing of a repetition is reported: services would see a budget that is used up
have money again. At the end of the repetition the state of everything is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokentide_schemas.control import ControlState

__all__ = ["ReportGate", "Reported"]


@dataclass(slots=True)
class Reported:
    """What services are to be reported."""

    states: list[ControlState] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    """Keys whose state is taken back."""


class ReportGate:
    """Holds reports back while they may be older than what services know.

    Args:
        until: Offsets up to which the worker before may have read, by partition.
        standing: Returns the state of everything that has one.
    """

    def __init__(
        self, until: Mapping[int, int], standing: Callable[[], list[ControlState]]
    ) -> None:
        self._until = dict(until)
        self._standing = standing
        self._ended: dict[str, None] = {}

    @property
    def holds(self) -> bool:
        """Return whether what is decided may still repeat what the worker before did."""
        return bool(self._until)

    def release(self, reported: Reported, positions: Mapping[int, int]) -> Reported:
        """Return what is to be reported now.

        Args:
            reported: What was found, up to the positions.
            positions: Offset of the next record, by partition.
        """
        if not self._until:
            return reported
        for state in reported.states:
            self._ended.pop(state.key, None)
        self._ended |= dict.fromkeys(reported.ended)
        if any(positions.get(number, 0) < end for number, end in self._until.items()):
            return Reported()
        self._until = {}
        states = self._standing()
        stands = {state.key for state in states}
        return Reported(states, [key for key in self._ended if key not in stands])
