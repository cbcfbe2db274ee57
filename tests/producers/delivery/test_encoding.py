"""Events to JSON lines: whatever a host passes in becomes a valid event or a counted drop."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args, get_origin

import orjson
import pytest
from annotated_types import MaxLen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tokentide._contract import (
    MAX_FINISH_REASONS,
    MAX_TAG_KEY,
    MAX_TAG_VALUE,
    MAX_TAGS,
    TEXT_LIMITS,
)
from tokentide.delivery.counters import Counters
from tokentide.delivery.encoding import LEFT_OUT_TAG, Encoder
from tokentide.ids import EventIds
from tokentide.usage import USAGE_FIELDS
from tokentide_schemas import EVENT_ADAPTER, EVENT_MODELS
from tokentide_schemas import fields as schema_fields

NOW_NS = 1_795_384_739_964_688_123


SECRETS = (
    "sk-proj-abc",
    "sk-ant-api03-abc",
    "gsk_abc",
    "AIzaSyA-abc",
    "Bearer abc",
    "eyJhbGciOi.abc.def",
    "f" * 32,
)
KEY_IDS = ("key_abc123", "apikey_01Rj2N8SVvo6BePZj99NhmiT", str(uuid.UUID(int=1)), "team-7/batch")


class Fixture:
    def __init__(self) -> None:
        self.counters = Counters()
        self.encoder = Encoder({"service": "s"}, EventIds(lambda bits: 1), self.counters)

    def __call__(self, **fields: object) -> dict[str, Any]:
        line = self.encoder.encode((NOW_NS, 5, fields), 3)
        assert line is not None
        assert b"\n" not in line
        decoded: dict[str, Any] = orjson.loads(line)
        return decoded

    def request(self, **fields: object) -> dict[str, Any]:
        event = self(
            **{
                "type": "request",
                "provider": "openai",
                "operation": "chat",
                "request_model": "m",
                "status": "ok",
                "duration_ms": 12.5,
                "usage_source": "missing",
                **fields,
            }
        )
        EVENT_ADAPTER.validate_python(event)
        return event


@pytest.fixture
def encode() -> Fixture:
    return Fixture()


def test_an_event_gets_identity_time_and_the_loss_counters(encode: Fixture) -> None:
    event = encode.request()
    assert uuid.UUID(event["event_id"]).version == 7
    assert (event["seq"], event["dropped_before"], event["service"]) == (5, 3, "s")
    assert event["started_at_us"] == NOW_NS // 1000 - 12_500


def test_what_the_event_says_itself_wins_over_what_is_filled_in(encode: Fixture) -> None:
    given = "01a20545-087c-700e-abd3-436044333a2a"
    event = encode.request(event_id=given, started_at_us=7, service="other")
    assert (event["event_id"], event["started_at_us"], event["service"]) == (given, 7, "other")


def test_the_given_event_is_not_modified(encode: Fixture) -> None:
    given: dict[str, object] = {"type": "request", "tenant": 4, "tags": {"a": 1}}
    encode.encoder.encode((NOW_NS, 0, given), 0)
    assert given == {"type": "request", "tenant": 4, "tags": {"a": 1}}


def test_long_text_is_shortened_to_what_the_contract_takes(encode: Fixture) -> None:
    event = encode.request(request_model="m" * 1000, speed="e" * 129, usage_raw="u" * 3000)
    assert [len(event[k]) for k in ("request_model", "speed", "usage_raw")] == [256, 128, 2048]
    assert encode.counters.fields_altered == 3


class Failure(enum.Enum):
    SPOKEN = "the patient Anna Weber asked"
    LATE = "timeout"


@pytest.mark.parametrize(
    "text",
    ["The patient Anna Weber asked", "rate limit", "no\n", "{code}", "a" * 65, Failure.SPOKEN,
     b"Anna Weber", object()],
)  # fmt: skip
def test_a_text_in_the_place_of_an_errors_code_or_kind_does_not_leave(
    encode: Fixture, text: object
) -> None:
    event = encode.request(status="error", error_type=text, error_code=text)
    assert (event["error_type"], event["error_code"]) == ("unknown", None)
    assert encode.counters.fields_altered == 2
    assert "Anna" not in str(event)


@pytest.mark.parametrize(
    ("given", "sent"),
    [("rate_limit", "rate_limit"), ("RateLimitError", "RateLimitError"), (429, "429"),
     ("java.net.SocketTimeoutException", "java.net.SocketTimeoutException"), ("", ""),
     ("std::bad_alloc", "std::bad_alloc"), (Failure.LATE, "timeout"), (None, None)],
)  # fmt: skip
def test_words_numbers_and_classes_leave_as_kinds_of_errors(
    encode: Fixture, given: object, sent: str | None
) -> None:
    event = encode.request(status="error", error_type=given)
    assert event["error_type"] == sent


def test_values_of_other_types_become_text_in_text_fields(encode: Fixture) -> None:
    class Tier(enum.Enum):
        FLEX = "flex"

    class Kind(enum.StrEnum):
        CHAT = "chat"

    event = encode.request(
        tenant=42, conversation_id=uuid.UUID(int=1), service_tier=Tier.FLEX, operation=Kind.CHAT
    )
    assert event["tenant"] == "42"
    assert event["conversation_id"] == str(uuid.UUID(int=1))
    assert (event["service_tier"], event["operation"]) == ("flex", "chat")


def test_tags_become_bounded_text(encode: Fixture) -> None:
    tags = {"n": 1, "b": True, "long": "x" * 999, "k" * 99: "v", "": "no name", "o": object()}
    event = encode.request(tags=tags)
    assert event["tags"] == {
        "n": "1",
        "b": "True",
        "long": "x" * 256,
        "k" * 64: "v",
        "o": "<object>",
    }
    many = encode.request(tags={str(n): "v" for n in range(1000)})
    assert len(many["tags"]) == 32
    assert encode.request(tags=["not", "a", "dict"])["tags"] is None


@pytest.mark.parametrize(
    "value",
    [2**70, object(), {1, 2}, b"\xff", complex(1, 2), lambda: None, type, [object()]],
    ids=lambda value: type(value).__name__,
)
def test_a_value_json_can_not_hold_costs_only_its_field(encode: Fixture, value: object) -> None:
    event = encode.request(output_tokens=value, input_tokens=5)
    assert "output_tokens" not in event
    assert event["input_tokens"] == 5
    assert event["tags"][LEFT_OUT_TAG] == "output_tokens"
    assert encode.counters.fields_dropped == 1


def test_numbers_that_are_not_finite_mean_not_reported(encode: Fixture) -> None:
    event = encode.request(ttft_ms=float("nan"), temperature=float("inf"))
    assert event["ttft_ms"] is None
    assert event["temperature"] is None
    assert encode.counters.fields_dropped == 2


def test_number_types_of_other_libraries_are_numbers(encode: Fixture) -> None:
    class Tokens(int):
        pass

    event = encode.request(
        duration_ms=Decimal("1.5"), input_tokens=Tokens(7), finish_reasons=("stop", "x")
    )
    assert (event["duration_ms"], event["input_tokens"]) == (1.5, 7)
    assert event["finish_reasons"] == ["stop", "x"]


def test_recursive_values_cost_only_their_field(encode: Fixture) -> None:
    loop: list[object] = []
    loop.append(loop)
    event = encode.request(choices=loop, output_tokens=3)
    assert "choices" not in event
    assert event["output_tokens"] == 3


def test_text_that_utf8_can_not_hold_is_replaced(encode: Fixture) -> None:
    event = encode.request(tenant="a\ud800b", tags={"k\ud800": "v\udfff"})
    assert event["tenant"] == "a?b"
    assert event["tags"] == {"k?": "v?"}


def test_a_newline_in_a_text_does_not_end_the_line(encode: Fixture) -> None:
    assert encode.request(tenant="a\nb")["tenant"] == "a\nb"


def test_field_names_that_are_not_text_cost_only_their_field(encode: Fixture) -> None:
    line = encode.encoder.encode((NOW_NS, 0, {"type": "request", 5: "x"}), 0)  # type: ignore[dict-item]
    assert line is not None
    assert orjson.loads(line)["tags"] == {LEFT_OUT_TAG: "5"}


class Explosive:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"do not touch {name}")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class ExplosiveText(str):
    def __str__(self) -> str:
        raise RuntimeError("no str")

    def __len__(self) -> int:
        raise RuntimeError("no len")


class ExplosiveDict(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError("no items")


@pytest.mark.parametrize("name", ["tenant", "input_tokens", "tags", "other_units", "unknown"])
@pytest.mark.parametrize(
    "hostile", [Explosive, lambda: ExplosiveText("t"), lambda: ExplosiveDict(a=Explosive())]
)
def test_hostile_objects_cost_at_most_their_field(
    encode: Fixture, name: str, hostile: Callable[[], object]
) -> None:
    event = encode(type="request", output_tokens=3, **{name: hostile()})
    assert event["output_tokens"] == 3


def test_no_code_of_host_objects_runs_in_the_background(encode: Fixture) -> None:
    ran: list[str] = []

    class Spy:
        def __repr__(self) -> str:
            ran.append("repr")
            return "spy"

        def __getattr__(self, name: str) -> Any:
            ran.append(name)
            raise AttributeError(name)

    encode.request(tenant=Spy(), output_tokens=Spy(), tags={"a": Spy()})
    assert ran == []


def test_a_dict_that_changes_while_it_is_read_loses_nothing_but_itself(encode: Fixture) -> None:
    class Changing(dict[str, object]):
        pass

    tags: dict[str, object] = Changing(a="1", b="2")

    class Meddler(enum.Enum):
        X = "x"

    event = encode.request(tags=tags, tenant=Meddler.X)
    assert event["tags"] == {"a": "1", "b": "2"}


def test_dataclasses_and_dates_in_text_fields_become_text(encode: Fixture) -> None:
    @dataclass
    class Prompt:
        name: str

    event = encode.request(prompt_name=Prompt("p"), prompt_version=datetime(2026, 1, 2, tzinfo=UTC))
    assert event["prompt_name"].endswith("Prompt>")
    assert event["prompt_version"] == "2026-01-02 00:00:00+00:00"


def limits_of_the_models() -> dict[str, int]:
    found: dict[str, int] = {}
    for model in EVENT_MODELS.values():
        for name, limit in text_limits(model):
            assert found.setdefault(name, limit) == limit, name
    return found


def text_limits(model: type[BaseModel]) -> list[tuple[str, int]]:
    found = []
    for name, info in model.model_fields.items():
        for kind, metadata in [(info.annotation, info.metadata), *parts(info.annotation)]:
            if kind is str:
                limit = longest(metadata)
                if limit is not None:
                    found.append((name, limit))
    return found


def parts(annotation: Any) -> list[tuple[Any, list[Any]]]:
    found = []
    for part in get_args(annotation):
        if hasattr(part, "__metadata__"):
            found.append((get_args(part)[0], list(part.__metadata__)))
        elif get_origin(part) is not None and get_origin(part) not in (dict, list):
            found += parts(part)
    return found


def longest(metadata: list[Any]) -> int | None:
    for item in metadata:
        limit = item.max_length if isinstance(item, MaxLen) else getattr(item, "max_length", None)
        if isinstance(limit, int):
            return limit
    return None


def test_the_limits_are_those_of_the_event_models() -> None:
    assert limits_of_the_models() == TEXT_LIMITS
    assert schema_fields.MAX_TAGS == MAX_TAGS
    bounds = {
        "TagKey": MAX_TAG_KEY,
        "TagValue": MAX_TAG_VALUE,
        "FinishReasons": MAX_FINISH_REASONS,
    }
    for name, limit in bounds.items():
        (metadata,) = getattr(schema_fields, name).__metadata__
        assert longest([metadata, *getattr(metadata, "metadata", [])]) == limit


def test_the_usage_fields_are_fields_of_the_request_event() -> None:
    assert set(USAGE_FIELDS) <= set(EVENT_MODELS["request"].model_fields)


TEXTS = ["type", "tenant", "request_model", "usage_raw", "event_id", "status"]
OTHERS = ["input_tokens", "duration_ms", "finish_reasons", "tags", "other_units", "started_at_us"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=300),
    st.text("x", min_size=100, max_size=300),
    st.binary(max_size=4),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=99), st.integers() | st.text(max_size=300), max_size=3),
)
NAMES = st.sampled_from([*TEXTS, *OTHERS])


@given(st.dictionaries(NAMES, VALUES))
def test_the_short_way_and_the_general_way_write_the_same_event(fields: dict[str, object]) -> None:
    short, general = Fixture(), Fixture()
    shorter = short(**fields)
    # An event that names a field of its own that all events carry has to be merged.
    assert general(service="s", **fields) == shorter
    assert general.counters == short.counters


@pytest.mark.parametrize("secret", [*SECRETS, SECRETS[0].encode()])
def test_a_key_in_the_place_of_its_id_does_not_leave_the_process(
    secret: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    encode = Fixture()
    event = encode.request(key_id=secret, tags={"plan": "pro"})
    assert event["key_id"] is None
    assert event["tags"] == {"plan": "pro", LEFT_OUT_TAG: "key_id"}
    assert encode.counters.fields_dropped == 1
    assert "sk-proj" not in caplog.text


@pytest.mark.parametrize("key_id", KEY_IDS)
def test_the_id_of_a_key_is_sent_as_it_is(key_id: str) -> None:
    encode = Fixture()
    assert encode.request(key_id=key_id)["key_id"] == key_id
    assert encode.counters.fields_dropped == 0
