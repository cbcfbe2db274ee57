"""Settings of a producer: keyword arguments first, then `TOKENTIDE_*`, then `OTEL_*` variables.

One frozen object, validated once. A bad value raises at construction, where a developer or a
deployment sees it at start; nothing raises afterwards. docs/producer.md lists every field, and a
test holds that table equal to this class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names it, the value and the remedy."""


def _number(env: str, default: float, low: float, high: float, unit: str, doc: str) -> object:
    return field(
        default=default,
        metadata={"env": env, "doc": doc, "unit": unit, "range": (low, high)},
    )


def _choice(env: str, default: str, choices: tuple[str, ...], doc: str) -> object:
    return field(default=default, metadata={"env": env, "doc": doc, "choices": choices})


def _text(env: str, default: str, doc: str, max_length: int = 128) -> object:
    return field(default=default, metadata={"env": env, "doc": doc, "max_length": max_length})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a producer can be told."""

    bootstrap: str = _text(  # type: ignore[assignment]
        "TOKENTIDE_KAFKA_BOOTSTRAP",
        "127.0.0.1:9092",
        "Kafka brokers to start from, `host:port`, separated by commas",
        max_length=4096,
    )
    topic: str = _text(  # type: ignore[assignment]
        "TOKENTIDE_EVENTS_TOPIC", "tokentide.events.v1", "topic the frames go to", max_length=249
    )
    service: str = _text(  # type: ignore[assignment]
        "TOKENTIDE_SERVICE",
        "unknown_service",
        "`service` of every event; also `OTEL_SERVICE_NAME`, or `service.name` in "
        "`OTEL_RESOURCE_ATTRIBUTES`",
    )
    environment: str = _text(  # type: ignore[assignment]
        "TOKENTIDE_ENVIRONMENT",
        "",
        "`environment` of every event; also `deployment.environment.name` in "
        "`OTEL_RESOURCE_ATTRIBUTES`",
    )
    tenant: str = _text(  # type: ignore[assignment]
        "TOKENTIDE_TENANT", "", "`tenant` of events that name none"
    )
    team: str = _text(  # type: ignore[assignment]
        "TOKENTIDE_TEAM", "", "`team` of events that name none"
    )
    disabled: bool = _choice(  # type: ignore[assignment]
        "TOKENTIDE_DISABLED",
        False,  # type: ignore[arg-type]
        ("true", "false"),
        "emit nothing and start no thread; also `OTEL_SDK_DISABLED`",
    )
    queue_events: int = _number(  # type: ignore[assignment]
        "TOKENTIDE_QUEUE_EVENTS",
        10_000,
        1,
        1_000_000,
        "events",
        "events that may wait to be encoded; beyond it events are dropped and counted",
    )
    backlog_bytes: int = _number(  # type: ignore[assignment]
        "TOKENTIDE_BACKLOG_BYTES",
        8 * 1024 * 1024,
        1024,
        1 << 30,
        "bytes",
        "encoded events that may wait for the broker",
    )
    drop_policy: str = _choice(  # type: ignore[assignment]
        "TOKENTIDE_DROP_POLICY",
        "newest",
        ("newest", "oldest"),
        "which events are dropped when there is no room: the `newest` ones or the `oldest`",
    )
    frame_events: int = _number(  # type: ignore[assignment]
        "TOKENTIDE_FRAME_EVENTS", 500, 1, 500, "events", "largest number of events in one record"
    )
    frame_bytes: int = _number(  # type: ignore[assignment]
        "TOKENTIDE_FRAME_BYTES",
        256 * 1024,
        1024,
        256 * 1024,
        "bytes",
        "largest payload of one record before compression",
    )
    linger_ms: float = _number(  # type: ignore[assignment]
        "TOKENTIDE_LINGER_MS",
        50.0,
        1,
        10_000,
        "ms",
        "how often the background thread collects what was emitted",
    )
    compression: str = _choice(  # type: ignore[assignment]
        "TOKENTIDE_COMPRESSION",
        "zstd",
        ("zstd", "lz4", "gzip", "none"),
        "codec of the Kafka records",
    )
    stats_interval_s: float = _number(  # type: ignore[assignment]
        "TOKENTIDE_STATS_INTERVAL_S",
        30.0,
        0.1,
        3600,
        "s",
        "time between two `stats` events of this producer",
    )
    exit_timeout_s: float = _number(  # type: ignore[assignment]
        "TOKENTIDE_EXIT_TIMEOUT_S",
        2.0,
        0,
        60,
        "s",
        "longest delay of the interpreter's exit to deliver what is left",
    )

    @classmethod
    def load(
        cls, given: Mapping[str, object] | None = None, env: Mapping[str, str] | None = None
    ) -> Settings:
        """Returns validated settings.

        Args:
            given: Values by field name; None means "not given".
            env: Environment to read what was not given; the process's own when absent. An empty
                variable counts as not set.

        Raises:
            SettingsError: A value is unusable or a name is unknown.
        """
        given = given or {}
        env = os.environ if env is None else env
        known = {f.name: f.metadata for f in fields(cls)}
        for name in given:
            if name not in known:
                raise SettingsError(
                    f"{name}={given[name]!r}: no such setting; known: {', '.join(sorted(known))}"
                )
        values: dict[str, object] = {}
        fallbacks = _from_opentelemetry(env)
        for name, meta in known.items():
            if given.get(name) is not None:
                values[name] = _checked(name, given[name], meta, type(_default(cls, name)))
            elif env.get(meta["env"]):
                raw = env[meta["env"]]
                values[name] = _checked(meta["env"], raw, meta, type(_default(cls, name)))
            elif name in fallbacks:
                variable, raw = fallbacks[name]
                values[name] = _checked(variable, raw, meta, type(_default(cls, name)))
        return cls(**values)  # type: ignore[arg-type]


def _default(cls: type[Settings], name: str) -> object:
    return next(f.default for f in fields(cls) if f.name == name)


def _from_opentelemetry(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Returns field name -> (variable, text) for what OpenTelemetry's own variables say."""
    found: dict[str, tuple[str, str]] = {}
    attributes = _resource_attributes(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    # The second name of the environment is the one used before semantic conventions 1.27.
    for name, keys in (
        ("service", ("service.name",)),
        ("environment", ("deployment.environment.name", "deployment.environment")),
    ):
        for key in keys:
            if attributes.get(key):
                found.setdefault(name, (variable, attributes[key]))
    if env.get("OTEL_SERVICE_NAME"):
        found["service"] = ("OTEL_SERVICE_NAME", env["OTEL_SERVICE_NAME"])
    if env.get("OTEL_SDK_DISABLED"):
        # OpenTelemetry's rule: only "true" disables, anything else means false and is no error.
        is_true = env["OTEL_SDK_DISABLED"].strip().lower() == "true"
        found["disabled"] = ("OTEL_SDK_DISABLED", "true" if is_true else "false")
    return found


def _resource_attributes(text: str) -> dict[str, str]:
    """Returns OpenTelemetry's `key=value,key=value` with percent-encoded values."""
    if not text:
        return {}
    from urllib.parse import unquote  # only here, because it costs a tenth of the import

    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}


def _checked(label: str, value: object, meta: Mapping[str, object], kind: type) -> object:
    """Returns `value` as the field's type, or raises with the name under which it was given."""
    check: Callable[[str, object, Mapping[str, object]], object]
    if kind is bool:
        check = _as_bool
    elif kind is str:
        check = _as_choice if "choices" in meta else _as_text
    else:
        check = _as_int if kind is int else _as_float
    return check(label, value, meta)


def _as_bool(label: str, value: object, meta: Mapping[str, object]) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise SettingsError(f"{label}={value!r}: give true or false")


def _as_choice(label: str, value: object, meta: Mapping[str, object]) -> str:
    choices = meta["choices"]
    assert isinstance(choices, tuple)
    text = value.strip().lower() if isinstance(value, str) else value
    if text not in choices:
        raise SettingsError(f"{label}={value!r}: give one of {', '.join(choices)}")
    return str(text)


def _as_text(label: str, value: object, meta: Mapping[str, object]) -> str:
    longest = meta["max_length"]
    assert isinstance(longest, int)
    if not isinstance(value, str):
        raise SettingsError(f"{label}={value!r}: give a string")
    if len(value) > longest:
        raise SettingsError(f"{label}={value!r}: give at most {longest} characters")
    if meta["env"] == "TOKENTIDE_KAFKA_BOOTSTRAP":
        return _bootstrap(label, value)
    if not value.strip() and meta["env"] in {"TOKENTIDE_SERVICE", "TOKENTIDE_EVENTS_TOPIC"}:
        raise SettingsError(f"{label}={value!r}: give a name that is not empty")
    return value.strip()


def _bootstrap(label: str, value: str) -> str:
    addresses = [part.strip() for part in value.split(",") if part.strip()]
    for address in addresses or [value]:
        host, _, port = address.rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise SettingsError(
                f"{label}={value!r}: {address!r} is not host:port; give for example "
                "kafka-1:9092,kafka-2:9092"
            )
    return ",".join(addresses)


def _as_int(label: str, value: object, meta: Mapping[str, object]) -> int:
    number = _as_float(label, value, meta)
    if number != int(number):
        raise SettingsError(f"{label}={value!r}: give a whole number")
    return int(number)


def _as_float(label: str, value: object, meta: Mapping[str, object]) -> float:
    bounds = meta["range"]
    assert isinstance(bounds, tuple)
    low, high = bounds
    unit = meta["unit"]
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(value)
        number = float(value)
    except ValueError as exc:
        raise SettingsError(
            f"{label}={value!r}: not a number; give {low:g} to {high:g} {unit}"
        ) from exc
    if not low <= number <= high:
        raise SettingsError(f"{label}={value!r}: out of range; give {low:g} to {high:g} {unit}")
    return number
