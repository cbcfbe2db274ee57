"""What becomes of the texts of a call: tags of its event, and a record for the content topic.

The tags only say how much sensitive text of which class there was. Nothing raises; what fails is
left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tokentide.content.collected import CollectedTexts
from tokentide.content.texts import Texts
from tokentide.log import RateLimitedLog
from tokentide.privacy.detection import MAX_CHARS, detect
from tokentide.settings import Settings

Event = dict[str, object]

TAG_PREFIX = "sensitive."

_log = RateLimitedLog()


def content_record(
    settings: Settings, event: Event, texts: CollectedTexts, new_id: Callable[[], str]
) -> Event | None:
    """Return the record for the content topic, if there is one, and tag the event.

    Args:
        settings: The producer's.
        event: The event that is being emitted; the numbers of sensitive texts become tags of it.
        texts: Prompt and response of its call.
        new_id: Gives it an id when it has none: the record refers to it.
    """
    try:
        if settings.detect:
            _tag(event, _counts(settings, texts))
        if settings.capture_content == "none":
            return None
        if not event.get("event_id"):
            event["event_id"] = new_id()
        return _record(settings, event, texts) if _is_sampled(settings, event) else None
    except Exception as exc:
        _log.report("content", "content could not be captured: %s", type(exc).__name__)
        return None


def _counts(settings: Settings, texts: CollectedTexts) -> dict[str, int]:
    classes = tuple(settings.detect.split(","))
    counts: dict[str, int] = {}
    for side in (texts.input, texts.output):
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
    """Decide by the id, so that the decision is the same wherever it is made."""
    share = zlib.crc32(str(event.get("event_id")).encode()) / (1 << 32)
    return share < settings.content_sample_rate


def _record(settings: Settings, event: Event, texts: CollectedTexts) -> Event | None:
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
    is_cut = texts.is_cut
    for side in ("input", "output"):
        if settings.capture_content in (side, "all"):
            record[side], side_is_cut = _cut(getattr(texts, side), settings.content_max_chars)
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
    """Return the text with lone surrogates, which UTF-8 cannot hold, replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
