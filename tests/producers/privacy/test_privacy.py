"""Hashed users, the redact hook, and what it may change of an event."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.producers.privacy.privacy_events import full_event
from tokentide import Telemetry
from tokentide.privacy import hash_user, hash_user_under_every_key, users
from tokentide.privacy.redaction import without_texts
from tokentide.settings import Settings, SettingsError
from tokentide.testing import captured
from tokentide_schemas import EVENT_ADAPTER

KEY = "k" * 32
OLD = "o" * 32
Event = dict[str, Any]


@pytest.fixture(autouse=True)
def no_warning_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_warned", set())


def settings(**given: object) -> Settings:
    return Settings.load(given, {})


# -- users ----------------------------------------------------------------------------------------


def test_a_user_is_hashed_under_the_key_and_named_by_the_id_of_the_key() -> None:
    expected = hmac.new(KEY.encode(), b"ann@example.org", hashlib.sha256).hexdigest()[:32]
    assert hash_user(settings(user_hash_key=KEY), "ann@example.org") == f"1:{expected}"
    assert hash_user(settings(user_hash_key=f"2026-11:{KEY}"), "ann@example.org") == (
        f"2026-11:{expected}"
    )


def test_after_a_rotation_the_newest_key_hashes_and_every_row_can_still_be_found() -> None:
    before = hash_user(settings(user_hash_key=f"a:{OLD}"), "ann")
    rotated = settings(user_hash_key=f"b:{KEY}, a:{OLD}")
    after = hash_user(rotated, "ann")
    assert after != before
    assert hash_user_under_every_key(rotated, "ann") == [after, before]


def test_without_a_key_no_user_is_sent_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with captured(checks_contract=False, service="s") as capture:
        for _ in range(3):
            with capture.telemetry.request(user="ann@example.org"):
                pass
        capture.telemetry.emit({"type": "request", "user": "ann@example.org"})
        events = capture.requests
    assert len(events) == 4
    assert not any("user" in event or "user_hash" in event for event in events)
    assert "ann@" not in str(events)
    assert caplog.text.count("TOKENTIDE_USER_HASH_KEY is not set") == 1
    assert "ann@" not in caplog.text


def test_a_user_of_a_call_an_event_or_a_verdict_is_sent_as_its_hash() -> None:
    given = settings(user_hash_key=KEY)
    with captured(checks_contract=False, service="s", user_hash_key=KEY) as capture:
        with capture.telemetry.request() as call:
            call.set(user="ann")
        capture.telemetry.emit({"type": "request", "user": "ann"})
        capture.telemetry.feedback("thumb", label="up", response_id="r", user="ann")
        hashes = [event.get("user_hash") for event in capture.events() if event["type"] != "stats"]
    assert hashes == [hash_user(given, "ann")] * 3


def test_ids_of_other_types_are_hashed_by_their_text_and_objects_are_not_touched() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise AssertionError

    given = settings(user_hash_key=KEY)
    number = uuid.UUID(int=7)
    assert hash_user(given, 42) == hash_user(given, "42")
    assert hash_user(given, number) == hash_user(given, str(number))
    assert hash_user(given, b"ann") == hash_user(given, "ann")
    assert hash_user(given, "ann\ud800") is not None
    for no_user in ("", None, Hostile(), ["ann"], 1.5):
        assert hash_user(given, no_user) is None


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("short", "'1' is too short"),
        (f"a:{KEY},{OLD}", "need an id each"),
        (f"a:{KEY},a:{OLD}", "given twice"),
        (f"a b:{KEY}", "an id is not"),
        (",", "holds no key"),
    ],
)
def test_an_unusable_key_is_refused_without_being_shown(keys: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        settings(user_hash_key=keys)
    assert KEY not in str(caught.value)
    assert "TOKENTIDE_USER_HASH_KEY" in str(caught.value)


# -- redaction ------------------------------------------------------------------------------------


def emit_through(hook: Callable[..., object], event: Event) -> tuple[list[Event], Any]:
    with captured(checks_contract=False, service="s", redact=hook) as capture:
        capture.telemetry.emit(event)
        found = [event for event in capture.events() if event["type"] != "stats"]
        return found, capture.telemetry.stats()


def test_the_hook_changes_an_event_before_it_is_queued() -> None:
    def mask(event: Event) -> Event:
        event["feature"] = "masked"
        return event

    given = full_event("request")
    (event,), stats = emit_through(mask, given)
    assert event["feature"] == "masked"
    assert given["feature"] != "masked"
    assert stats.redact_failures == 0


def test_an_event_that_the_hook_drops_is_counted() -> None:
    events, stats = emit_through(lambda event: None, full_event("request"))
    assert events == []
    assert stats.dropped == {"redacted": 1}
    assert stats.emitted == 1
    assert stats.emitted == stats.delivered + stats.failed + stats.dropped_total + stats.queued


def _raise(event: Event) -> Event:
    raise ValueError(f"cannot redact {event}")


async def _coroutine(event: Event) -> Event:
    return event


def _wrapped(event: Event) -> object:
    return _coroutine(event)


@pytest.mark.parametrize(
    "hook",
    [_raise, lambda event: 7, lambda event: [event], _wrapped, lambda: None],
)
@pytest.mark.parametrize("kind", ["request", "evaluation", "feedback", "change"])
def test_where_the_hook_fails_no_optional_text_leaves_and_the_event_stays_valid(
    hook: Callable[..., object], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = full_event(kind)
    (event,), stats = emit_through(hook, given)
    assert stats.redact_failures == 1
    assert "PRIVATE" not in str(event)
    assert "PRIVATE" not in caplog.text
    EVENT_ADAPTER.validate_python(event)
    numbers = {name: value for name, value in given.items() if type(value) in (int, float, bool)}
    assert {name: event.get(name) for name in numbers} == numbers
    assert event["event_id"] == given["event_id"]


def test_failures_of_the_hook_are_in_the_stats_event() -> None:
    with captured(service="s", redact=_raise) as capture:
        capture.telemetry.emit(full_event("request"))
        capture.telemetry.close()
        (stats,) = (event for event in capture.sender.events if event["type"] == "stats")
    assert stats["tags"]["redact_failures"] == "1"


def test_what_the_price_depends_on_stays_when_it_looks_like_an_identifier() -> None:
    kept = without_texts(
        {
            "type": "request",
            "response_model": "us.anthropic.claude-sonnet-4-5:0",
            "service_tier": "not an identifier",
            "speed": "fast",
            "status": "ok",
            "error_code": "PRIVATE",
            "trace_id": "0123456789abcdef0123456789abcdef",
            "span_id": "ann@example.org",
            "finish_reasons": ["stop", "Ann said stop"],
            "other_units": {"pages": 3, "Ann's pages": 1, "searches": "PRIVATE"},
            "tags": {"sensitive.email": "2", "sensitive.note": "PRIVATE", "who": "PRIVATE"},
        }
    )
    assert kept == {
        "type": "request",
        "response_model": "us.anthropic.claude-sonnet-4-5:0",
        "speed": "fast",
        "status": "ok",
        "trace_id": "0123456789abcdef0123456789abcdef",
        "finish_reasons": ["stop"],
        "other_units": {"pages": 3},
        "tags": {"sensitive.email": "2"},
    }


def test_a_hook_that_emits_itself_does_not_call_itself_for_ever() -> None:
    telemetry: list[Telemetry] = []

    def chatty(event: Event) -> Event:
        telemetry[0].emit({"type": "change", "kind": "deploy", "subject": "x", "actor": "PRIVATE"})
        return event

    with captured(checks_contract=False, service="s", redact=chatty) as capture:
        telemetry.append(capture.telemetry)
        capture.telemetry.emit(full_event("request"))
        kinds = sorted(event["type"] for event in capture.events())
        assert kinds == ["change", "request"]
        assert "actor" not in capture.events("change")[0]
        assert capture.telemetry.stats().redact_failures == 1


def test_the_hosts_own_end_passes_through_the_hook() -> None:
    def interrupted(event: Event) -> Event:
        raise KeyboardInterrupt

    with captured(service="s", redact=interrupted) as capture, pytest.raises(KeyboardInterrupt):
        capture.telemetry.emit(full_event("request"))


def test_the_hook_can_be_named_in_the_environment() -> None:
    name = "tokentide.privacy.redaction:without_texts"
    with captured(service="s", redact=name) as capture:
        capture.telemetry.emit(full_event("request"))
        assert "PRIVATE" not in str(capture.requests)


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("nothing", "module:function"),
        ("tokentide.nowhere:mask", "ModuleNotFoundError"),
        ("tokentide:no_such_function", "AttributeError"),
        ("tokentide:__version__", "give a function"),
        (_coroutine, "not awaited"),
        (3, "give a function"),
    ],
)
def test_a_hook_that_can_not_be_called_is_refused_at_the_start(hook: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings(redact=hook)
