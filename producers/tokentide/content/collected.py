"""The texts of one call, collected while it runs; they travel beside its event, never inside it.

The caller that has prompt and response adds them here and hands the collection over with the event.
Unless `Settings.reads_content` is true nothing here needs to be called or imported. Nothing raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentide.content.texts import StreamText, Texts, input_texts, output_texts
from tokentide.log import RateLimitedLog
from tokentide.privacy.detection import MAX_CHARS

if TYPE_CHECKING:
    from tokentide.settings import Settings
    from tokentide.usage.flavour import StreamReading

_log = RateLimitedLog()


class CollectedTexts:
    """Prompt and response of one call, as far as the settings want them.

    Attributes:
        input: (role, text) of what was asked, in order.
        output: (role, text) of what was answered.
        is_cut: Whether something was left out.
    """

    __slots__ = ("input", "is_cut", "output")

    def __init__(self) -> None:
        self.input: Texts = []
        self.output: Texts = []
        self.is_cut = False

    def add(self, settings: Settings, *, input: object = None, output: object = None) -> None:
        """Read texts now, so that the host may go on changing its messages; calls add up.

        Args:
            settings: The producer's.
            input: Keyword arguments of the client's call, a list of messages, or a text.
            output: The response, a `StreamText`, or a text.
        """
        try:
            if input is not None:
                texts, is_cut = input_texts(input, _max_chars(settings, "input"))
                self.input += texts
                self.is_cut |= is_cut
            if output is not None:
                texts, is_cut = output_texts(output, _max_chars(settings, "output"))
                self.output += texts
                self.is_cut |= is_cut
        except Exception as exc:
            _log.report("content", "content could not be read: %s", type(exc).__name__)


class StreamWithText:
    """A stream's reading that also keeps its text, as far as the settings want it.

    Attributes:
        text: What `CollectedTexts.add` takes as the output.
    """

    __slots__ = ("_reading", "text")

    def __init__(self, reading: StreamReading, settings: Settings) -> None:
        self._reading = reading
        self.text = StreamText(_max_chars(settings, "output"))

    def add(self, chunk: object) -> None:
        """Look at one chunk."""
        self._reading.add(chunk)
        self.text.add(chunk)

    def fields(self) -> dict[str, object]:
        """Return the event fields of what has arrived so far."""
        return self._reading.fields()


def _max_chars(settings: Settings, side: str) -> int:
    is_captured = settings.capture_content in (side, "all")
    captured = settings.content_max_chars if is_captured else 0
    return max(MAX_CHARS if settings.detect else 0, captured)
