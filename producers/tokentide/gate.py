"""What an event passes on its way into the queue when a privacy setting asks for it.

On the caller's thread: content goes its own way, then the redact hook sees the event. An engine of
which no setting asks for any of it has no gate at all.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns

from tokentide.content.channel import ContentChannel
from tokentide.content.collected import CollectedTexts
from tokentide.content.pending import take_pending
from tokentide.content.record import content_record
from tokentide.delivery.tally import Tally
from tokentide.log import RateLimitedLog
from tokentide.privacy.redaction import Redactor
from tokentide.settings import Settings

Event = dict[str, object]


class Gate:
    """Lets events of one engine through, changed or not, and counts what it keeps back.

    Args:
        settings: The producer's.
        new_id: `new_id(epoch_ns)` gives an event id.
        log: The producer's.
    """

    def __init__(
        self, settings: Settings, new_id: Callable[[int], str], log: RateLimitedLog
    ) -> None:
        self._settings = settings
        self._new_id = new_id
        self.redactor = Redactor(settings.redact, log) if callable(settings.redact) else None
        self.redacted = Tally()
        """Events that the hook dropped."""
        self.channel = ContentChannel(settings, log) if settings.capture_content != "none" else None

    def __call__(self, event: Event, texts: CollectedTexts | None) -> Event | None:
        """Return the event to queue, or None when the hook dropped it.

        Args:
            event: The event that is being emitted.
            texts: Prompt and response of its call; those that wait for it when absent.
        """
        if texts is None:
            texts = take_pending(event)
        record = None if texts is None else self._record(event, texts)
        if self.redactor is None:
            if record is not None:
                self._send(record)
            return event
        kept, is_sound = self.redactor(event)
        if kept is None:
            self.redacted.add()
        # The texts of a call whose event was dropped, or could not be judged, stay here too.
        if record is not None and kept is not None and is_sound:
            redacted, is_sound = self.redactor(record)
            if redacted is not None and is_sound:
                self._send(redacted)
        return kept

    def _record(self, event: Event, texts: CollectedTexts) -> Event | None:
        return content_record(self._settings, event, texts, lambda: self._new_id(time_ns()))

    def _send(self, record: Event) -> None:
        if self.channel is not None:
            self.channel.put(time_ns(), record)

    @property
    def failures(self) -> int:
        """Events that left without their texts because the redact hook failed on them."""
        return 0 if self.redactor is None else self.redactor.failures.value
