"""The reading of a stream whose text is wanted too: counted for sensitive text, or captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentide.content import stream_text

if TYPE_CHECKING:
    from tokentide.settings import Settings
    from tokentide.usage.flavour import StreamReading


class WatchedReading:
    """A stream's reading that also keeps its text, as far as the settings want it.

    Attributes:
        text: What `tokentide.content.capture` takes as the output.
    """

    __slots__ = ("_reading", "text")

    def __init__(self, reading: StreamReading, settings: Settings) -> None:
        self._reading = reading
        self.text = stream_text(settings)

    def add(self, chunk: object) -> None:
        """Looks at one chunk."""
        self._reading.add(chunk)
        self.text.add(chunk)

    def fields(self) -> dict[str, object]:
        """Returns the event fields of what has arrived so far."""
        return self._reading.fields()
