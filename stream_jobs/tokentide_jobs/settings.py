"""Every setting of the pipeline, read once: nothing else in this package looks at the environment.

A frozen `Settings` is built by `Settings.from_env` and passed in; a value comes from (first match)
an override given in code or on the command line, a `TOKENTIDE_*` variable, the `stack.json` of a
running embedded stack, the default. Printing it never shows a password.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tokentide_jobs.core.record.topics import is_otlp
from tokentide_jobs.errors import ConfigError

__all__ = ["Setting", "Settings", "redact_url"]

_MIB = 1024 * 1024


def _setting(
    default: Any, doc: str, *, unit: str = "", low: float | None = None, high: float | None = None
) -> Any:
    """Declare a field: its default, what it does, its unit and its closed range."""
    return field(default=default, metadata={"doc": doc, "unit": unit, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting, ready to print: `value` is redacted."""

    name: str
    variable: str
    value: str
    source: str
    unit: str
    allowed: str
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """The effective settings of one process. Immutable; `items()` explains every one."""

    kafka_bootstrap: str = _setting(
        "127.0.0.1:9092", "Kafka brokers, `host:port` separated by commas"
    )
    clickhouse_url: str = _setting(
        "http://127.0.0.1:8123", "ClickHouse's HTTP interface: http(s)://user:password@host:port"
    )
    database: str = _setting("tokentide", "ClickHouse database that holds every table")
    events_topic: str = _setting("tokentide.events.v1", "Kafka topic that producers write to")
    otlp_topic: str = _setting(
        "tokentide.otlp.v1",
        "Kafka topic that OpenTelemetry Collectors write to; `off`: not read",
    )
    group: str = _setting("tokentide-ingest", "Kafka consumer group of the ingest workers")
    # RUF009: `_setting` returns a dataclass field, the linter cannot see it for these two types.
    data_dir: Path = _setting(".tokentide", "directory of the embedded stack")  # noqa: RUF009
    prices_file: Path | None = _setting(  # noqa: RUF009
        None, "YAML file of price overrides; none: list prices"
    )
    log_id: str = _setting(
        "", "any new word: read the events topic again from its beginning, as another log"
    )
    otlp_log_id: str = _setting("", "the same for the topic of OpenTelemetry Collectors")
    batch_rows: int = _setting(
        50_000, "seal a batch at about this many events", unit="events", low=1, high=1_000_000
    )
    batch_bytes: int = _setting(
        16 * _MIB, "seal a batch at this many record bytes", unit="bytes", low=1, high=1024 * _MIB
    )
    batch_age_ms: int = _setting(
        500, "seal a batch this long after its first record", unit="ms", low=1, high=600_000
    )
    buffer_bytes: int = _setting(
        36 * _MIB,  # two batches: one is written while the next fills up
        "stop reading a partition while this much of it waits in memory",
        unit="bytes",
        low=1,
        high=4096 * _MIB,
    )
    max_event_age_s: int = _setting(
        604_800, "older events are dead letters", unit="s", low=1, high=10 * 366 * 86_400
    )
    max_event_ahead_s: int = _setting(
        3_600, "events further in the future are dead letters", unit="s", low=0, high=366 * 86_400
    )
    http_host: str = _setting(
        "127.0.0.1", "address the worker's health and metrics listen on; 0.0.0.0 in a container"
    )
    http_port: int = _setting(
        0, "worker's health and metrics port; 0: any free one", low=0, high=65_535
    )
    insert_timeout_s: float = _setting(
        60.0, "give up waiting for one ClickHouse reply, then retry", unit="s", low=0.1, high=3600
    )
    retry_max_s: float = _setting(
        15.0, "longest pause between two tries of one insert", unit="s", low=0.01, high=600
    )
    min_free_bytes: int = _setting(
        512 * _MIB,
        "store nothing while ClickHouse's disk has less than this free; at half of it the embedded "
        "stack stops its broker and ClickHouse refuses inserts; 0: fill the disk",
        unit="bytes",
        low=0,
        high=1 << 50,
    )
    token_window_s: int = _setting(
        600,
        "trust insert tokens this long; after that, rows are counted before inserting again",
        unit="s",
        low=1,
        high=604_800,
    )
    session_timeout_ms: int = _setting(
        30_000, "Kafka takes a silent worker's partitions after this", unit="ms", low=1_000,
        high=600_000,
    )  # fmt: skip
    drain_s: float = _setting(
        20.0, "at SIGTERM, finish batches in flight within this", unit="s", low=0, high=600
    )
    watchdog_s: float = _setting(
        120.0, "exit (to be restarted) when records wait and none is done this long", unit="s",
        low=1, high=86_400,
    )  # fmt: skip
    breaker_ratio: float = _setting(
        0.9, "pause a partition when more than this share of recent events is bad", unit="share",
        low=0.01, high=1.0,
    )  # fmt: skip
    breaker_events: int = _setting(
        5_000, "how many recent events the breaker judges", unit="events", low=1, high=10_000_000
    )
    breaker_pause_s: float = _setting(
        30.0, "how long the breaker pauses a partition", unit="s", low=0, high=86_400
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each value that is not a default came from."""

    def __post_init__(self) -> None:
        """Refuse a value outside its range, naming the variable."""
        object.__setattr__(self, "data_dir", Path(self.data_dir))
        for spec in fields(self):
            _check_range(self, spec.name, spec.metadata)
        for name in ("database", "events_topic", "otlp_topic", "group", "kafka_bootstrap"):
            if not getattr(self, name):
                raise ConfigError(f"{_label(self, name)} is empty: give it a value or unset it")
        _check_topics(self)
        if not self.database.replace("_", "").isalnum():
            raise ConfigError(
                f"{_label(self, 'database')} is {self.database!r}: use letters, digits and _"
            )
        parts = urlsplit(self.clickhouse_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{_label(self, 'clickhouse_url')} is {redact_url(self.clickhouse_url)!r}: "
                "expected http://user:password@host:port"
            )
        for server in self.kafka_bootstrap.split(","):
            _host, colon, port = server.strip().rpartition(":")
            if not colon or not port.isdigit():
                raise ConfigError(
                    f"{_label(self, 'kafka_bootstrap')} is {self.kafka_bootstrap!r}: "
                    "expected host:port, several separated by commas"
                )

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics that ingest reads, the events topic first."""
        others = () if self.otlp_topic == "off" else (self.otlp_topic,)
        return (self.events_topic, *others)

    @property
    def restarted_logs(self) -> dict[str, str]:
        """The words under which topics are read as new logs, by topic."""
        words = {self.otlp_topic: self.otlp_log_id, self.events_topic: self.log_id}
        return {topic: word for topic, word in words.items() if word}

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str], data_dir: Path | str | None = None, **overrides: Any
    ) -> Settings:
        """Build the settings of this process.

        Args:
            environ: Usually `os.environ`.
            data_dir: The `--data-dir` option; None: `TOKENTIDE_DATA_DIR`, else `.tokentide`.
            **overrides: Values that beat the environment, by field name; None means not given.

        Raises:
            ConfigError: A value cannot be read or is out of range; the message names it.
        """
        known = {spec.name: spec for spec in fields(cls) if spec.name != "sources"}
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for name, spec in known.items():
            text = environ.get(_variable(name))
            if text is not None and text != "":
                values[name] = _parse(name, str(spec.type), text)
                sources[name] = _variable(name)
        if data_dir is not None:
            overrides["data_dir"] = data_dir
        for name, value in overrides.items():
            if name not in known:
                raise ConfigError(f"there is no setting {name!r}")
            if value is not None:
                is_path = "Path" in str(known[name].type)
                values[name] = Path(value) if is_path else value
                sources[name] = "option"
        directory = Path(values.get("data_dir", known["data_dir"].default))
        for name, value in _running_stack(directory).items():
            if name not in values:
                values[name] = value
                sources[name] = str(directory / "stack.json")
        return cls(**values, sources=sources)

    def items(self) -> Iterator[Setting]:
        """Yield every setting with its redacted value, its source and what it does."""
        for spec in fields(self):
            if spec.name == "sources":
                continue
            meta = spec.metadata
            low, high = meta["low"], meta["high"]
            yield Setting(
                name=spec.name,
                variable=_variable(spec.name),
                value=_printable(getattr(self, spec.name)),
                source=self.sources.get(spec.name, "default"),
                unit=meta["unit"],
                allowed="" if low is None else f"{low:g} to {high:g}",
                doc=meta["doc"],
            )

    def __repr__(self) -> str:
        body = ", ".join(f"{item.name}={item.value}" for item in self.items())
        return f"Settings({body})"


def redact_url(url: str) -> str:
    """Return `url` with its password replaced by three stars."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    _credentials, _at, address = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{address}"))


def _variable(name: str) -> str:
    return "TOKENTIDE_" + name.upper()


def _label(settings: Settings, name: str) -> str:
    """Name a setting as its author wrote it, so that a message leads back to the place."""
    source = settings.sources.get(name, "default")
    return f"--{name.replace('_', '-')}" if source == "option" else _variable(name)


def _printable(value: object) -> str:
    if value is None:
        return ""
    return redact_url(value) if isinstance(value, str) and "://" in value else str(value)


def _parse(name: str, kind: str, text: str) -> Any:
    if "Path" in kind:
        return Path(text).expanduser()
    if kind == "str":
        return text
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError as exc:
        expected = "a whole number" if kind == "int" else "a number"
        raise ConfigError(f"{_variable(name)} is {text!r}: expected {expected}") from exc


def _check_range(settings: Settings, name: str, meta: Mapping[str, Any]) -> None:
    low, high = meta.get("low"), meta.get("high")
    value = getattr(settings, name)
    if low is not None and high is not None and not low <= value <= high:
        unit = f" {meta['unit']}" if meta["unit"] else ""
        raise ConfigError(
            f"{_label(settings, name)} is {value:g}: expected {low:g} to {high:g}{unit}"
        )


def _check_topics(settings: Settings) -> None:
    """Refuse topic names that contradict how their records are written."""
    if settings.otlp_topic != "off" and not is_otlp(settings.otlp_topic):
        raise ConfigError(
            f"{_label(settings, 'otlp_topic')} is {settings.otlp_topic!r}: one part of the name, "
            "between dots or dashes, must be `otlp`; `off` reads none"
        )
    if is_otlp(settings.events_topic):
        raise ConfigError(
            f"{_label(settings, 'events_topic')} is {settings.events_topic!r}: no part of the name "
            "may be `otlp`, which marks topics of OpenTelemetry Collectors"
        )


def _running_stack(directory: Path) -> dict[str, str]:
    """Return the addresses in `stack.json` when the process that wrote it lives, else nothing."""
    path = directory / "stack.json"
    try:
        stack = json.loads(path.read_text())
        if not _is_alive(int(stack["pid"])):
            return {}
        found = {
            "kafka_bootstrap": str(stack["kafka"]),
            "clickhouse_url": str(stack["clickhouse_url"]),
            "events_topic": str(stack["events_topic"]),
        }
        return {name: value for name, value in found.items() if value}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigError(
            f"{path} is not readable as the state of a running stack ({exc!r}): "
            "stop the stack and remove the file"
        ) from exc


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs, as another user
    return True
