"""Prompts and responses: counted for sensitive text, and captured where the settings ask for it.

Whoever has them at hand calls `capture` with the event before it is emitted. Invariant: a text is
never part of an event; it leaves, if at all, on a topic of its own. Unless `Settings.reads_content`
is true nothing here needs to be called or imported.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tokentide.content.texts import StreamText, Texts, input_texts, output_texts
from tokentide.log import RareLog
from tokentide.settings import Settings

Event = dict[str, object]

KEY = "tokentide.content"
"""Where texts travel inside an event between `capture` and the moment it is emitted."""
TAG_PREFIX = "sensitive."

_log = RareLog()


def stream_text(settings: Settings) -> StreamText:
    """Returns a collector for the chunks of a streamed response; give it to `capture`."""
    return StreamText(_max_chars(settings, "output"))


def capture(
    settings: Settings, event: Event, *, input: object = None, output: object = None
) -> None:
    """Reads the texts of a call into its event, from where they go their own way; never raises.

    Called more than once for one event (input first, output later), what it reads adds up. The
    texts are read at once, so the host may go on changing its messages.

    Args:
        settings: The producer's.
        event: The event of the call; it gets an entry that is taken out again when it is emitted.
        input: Keyword arguments of the client's call, a list of messages, or a text.
        output: The response, a `StreamText`, or a text.
    """
    if not settings.reads_content:
        return
    try:
        held = event.get(KEY)
        if type(held) is not _Held:
            held = event[KEY] = _Held()
        if input is not None:
            texts, is_cut = input_texts(input, _max_chars(settings, "input"))
            held.input += texts
            held.is_cut |= is_cut
        if output is not None:
            texts, is_cut = output_texts(output, _max_chars(settings, "output"))
            held.output += texts
            held.is_cut |= is_cut
    except Exception as exc:
        _log.note("content", "content could not be read: %s", type(exc).__name__)


class _Held:
    """The texts of one call on their way."""

    __slots__ = ("input", "is_cut", "output")

    def __init__(self) -> None:
        self.input: Texts = []
        self.output: Texts = []
        self.is_cut = False


def take(settings: Settings, event: Event, new_id: Callable[[], str]) -> Event | None:
    """Takes the texts out of an event; returns the record for the content topic, if there is one.

    The numbers of sensitive texts become tags of the event. Never raises; what fails is left out.

    Args:
        settings: The producer's.
        event: The event that is being emitted.
        new_id: Gives it an id when it has none: the record refers to it.
    """
    held = event.pop(KEY, None)
    if type(held) is not _Held:
        return None
    try:
        if settings.detect:
            _tag(event, _counts(settings, held))
        if settings.capture_content == "none":
            return None
        if not event.get("event_id"):
            event["event_id"] = new_id()
        return _record(settings, event, held) if _is_sampled(settings, event) else None
    except Exception as exc:
        _log.note("content", "content could not be captured: %s", type(exc).__name__)
        return None


def _counts(settings: Settings, held: _Held) -> dict[str, int]:
    from tokentide.privacy.sensitive import MAX_CHARS, detect

    classes = tuple(settings.detect.split(","))
    counts: dict[str, int] = {}
    for side in (held.input, held.output):
        room = MAX_CHARS
        for _role, text in side:
            for name, count in detect(text[: max(0, room)], classes).items():
                counts[name] = counts.get(name, 0) + count
            room -= len(text)
    return counts


def _tag(event: Event, counts: dict[str, int]) -> None:
    if not counts:
        return
    found = {TAG_PREFIX + name: str(count) for name, count in counts.items()}
    tags = event.get("tags")
    # First in order, because an event keeps a limited number of tags.
    event["tags"] = {**found, **tags} if type(tags) is dict else found


def _is_sampled(settings: Settings, event: Event) -> bool:
    """Decides by the id, so that whoever decides again, anywhere, decides alike."""
    share = zlib.crc32(str(event.get("event_id")).encode()) / (1 << 32)
    return share < settings.content_sample_rate


def _record(settings: Settings, event: Event, held: _Held) -> Event | None:
    record: Event = {
        "type": "content",
        "schema_version": 1,
        "event_id": event.get("event_id"),
        "started_at_us": event.get("started_at_us"),
        "duration_ms": event.get("duration_ms"),
        "service": event.get("service") or settings.service,
        "environment": event.get("environment") or settings.environment or None,
        "tenant": event.get("tenant") or settings.tenant or None,
    }
    is_cut = held.is_cut
    for side in ("input", "output"):
        if settings.capture_content in (side, "all"):
            record[side], side_is_cut = _cut(getattr(held, side), settings.content_max_chars)
            is_cut = is_cut or side_is_cut
    if not (record.get("input") or record.get("output")):
        return None
    record["truncated"] = is_cut
    return {name: value for name, value in record.items() if value is not None}


def _cut(texts: Texts, max_chars: int) -> tuple[list[dict[str, str]], bool]:
    room = max_chars
    kept: list[dict[str, str]] = []
    for role, text in texts:
        if room <= 0:
            return kept, True
        kept.append({"role": _valid(role), "text": _valid(text[:room])})
        room -= len(text)
    return kept, room < 0


def _valid(text: str) -> str:
    """Returns the text with lone surrogates, which UTF-8 can not hold, replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _max_chars(settings: Settings, side: str) -> int:
    from tokentide.privacy.sensitive import MAX_CHARS

    is_captured = settings.capture_content in (side, "all")
    captured = settings.content_max_chars if is_captured else 0
    return max(MAX_CHARS if settings.detect else 0, captured)
