"""What can be set: every setting with its type, default, unit, range and meaning.

One field is one `TOKENTIDE_*` variable. pydantic reads and bounds the values; what cannot be said
by a range is a validator here. Where values come from is decided in `loading.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, PrivateAttr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tokentide_jobs.core.record.topics import is_otlp
from tokentide_jobs.core.tables import DATABASE_NAME, DATABASE_RULE
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS, kinds_of, kinds_text
from tokentide_jobs.urls import is_http_url

__all__ = ["PREFIX", "DeclaredSettings", "option_of", "variable_of"]

PREFIX: Final = "TOKENTIDE_"
"""Of the variable of every setting."""
_MIB = 1024 * 1024
_PLAIN_ADDRESS: Final = re.compile(r"(?:(?!\[\[)[\w\-.~:/?#\[\]!&()*+,;=%])+", re.ASCII)
"""What a URL is written with, but for @, $ and quotes; `[[` is a variable of Grafana's."""


def variable_of(name: str) -> str:
    """Return the variable of a setting: `TOKENTIDE_KAFKA_BOOTSTRAP` of `kafka_bootstrap`."""
    return PREFIX + name.upper()


def option_of(name: str) -> str:
    """Return the option of a setting: `--detect-file` of `detect_file`."""
    return f"--{name.replace('_', '-')}"


def _setting(
    default: Any, doc: str, *, unit: str = "", low: float | None = None, high: float | None = None
) -> Any:
    """Declare a field: its default, what it does, its unit and its closed range."""
    return Field(
        default=default, description=doc, ge=low, le=high, json_schema_extra={"unit": unit}
    )


class DeclaredSettings(BaseSettings):
    """The settings of one process. Immutable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    kafka_bootstrap: str = _setting(
        "127.0.0.1:9092", "Kafka brokers, `host:port` separated by commas"
    )
    clickhouse_url: str = _setting(
        "http://127.0.0.1:8123", "ClickHouse's HTTP interface: http(s)://user:password@host:port"
    )
    clickhouse_password_file: Path | None = _setting(
        None,
        "file with the password of the account that the URL of ClickHouse names; any characters",
    )
    database: str = _setting("tokentide", "ClickHouse database that holds every table")
    events_topic: str = _setting("tokentide.events.v1", "Kafka topic that producers write to")
    otlp_topic: str = _setting(
        "tokentide.otlp.v1",
        "Kafka topic that OpenTelemetry Collectors write to; `off`: not read",
    )
    group: str = _setting("tokentide-ingest", "Kafka consumer group of the ingest workers")
    detect_group: str = _setting("tokentide-detect", "Kafka consumer group of the detect workers")
    data_dir: Path = _setting(Path(".tokentide"), "directory of the embedded stack")
    prices_file: Path | None = _setting(None, "YAML file of price overrides; none: list prices")
    budgets_file: Path | None = _setting(None, "YAML file of budgets; none: no budgets")
    slos_file: Path | None = _setting(
        None, "YAML file of SLOs, for the detect job and `tokentide slos`; none: no SLOs"
    )
    detect_time: Literal["clock", "recorded"] = _setting(
        "clock",
        "what closes the windows of detection; recorded: times of events, for simulations that are "
        "sent faster than life",
    )
    detect_file: Path | None = _setting(None, "YAML file of the rules of detection; none: defaults")
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
        500,
        "seal a batch this long after its first record; in a steady stream, wait until eight times "
        "the time that the last batch took has passed since it began, at most three times this age",
        unit="ms",
        low=1,
        high=600_000,
    )
    buffer_bytes: int = _setting(
        64 * _MIB,  # four full batches: each has a cost of its own, which more events share
        "stop reading while the records of all partitions of a worker take this much memory",
        unit="bytes",
        low=1,
        high=4096 * _MIB,
    )
    user_hash_key_file: Path | None = _setting(
        None,
        "file with the key under which users that logs of coding agents name are hashed: the "
        "services' TOKENTIDE_USER_HASH_KEY; none: no user is kept",
    )
    max_event_age_s: int = _setting(
        604_800, "older events are dead letters", unit="s", low=1, high=10 * 366 * 86_400
    )
    max_event_ahead_s: int = _setting(
        3_600, "events further in the future are dead letters", unit="s", low=0, high=366 * 86_400
    )
    subjects: str = _setting(
        kinds_text(SUBJECT_KINDS),
        "kinds of subjects whose spend is summed, separated by commas; `off`: none",
    )
    max_subjects: int = _setting(
        2_000,
        "subjects of one kind that a batch names: those that spend most; the rest is `(other)`",
        unit="subjects",
        low=1,
        high=1_000_000,
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
    snapshot_s: int = _setting(
        300,
        "save the state of detection this often",
        unit="s",
        low=5,
        high=600,  # detector_store.LONGEST_PAUSE_US
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
        0.9, "pause a partition when more than this share of recent events is refused",
        unit="share", low=0.01, high=1.0,
    )  # fmt: skip
    breaker_events: int = _setting(
        5_000, "how many recent events the breaker judges", unit="events", low=1, high=10_000_000
    )
    breaker_pause_s: float = _setting(
        30.0, "how long the breaker pauses a partition", unit="s", low=0, high=86_400
    )
    grafana_url: str = _setting(
        "", "Grafana for `tokentide doctor` and `tokentide grafana`: http(s)://host:port/path"
    )
    grafana_token_file: Path | None = _setting(
        None,
        "file with the token of a service account of Grafana, or with the password of the user "
        "that its URL names",
    )
    grafana_ca_file: Path | None = _setting(
        None, "certificates (PEM) that Grafana's own is checked with; none: those of the system"
    )
    trace_url: str = _setting(
        "",
        "where your tracing shows a trace, for links of the Request explorer: the id comes where "
        "`{trace}` stands, or at the end; none: no links",
    )
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator(
        "clickhouse_password_file", "data_dir", "prices_file", "budgets_file", "slos_file",
        "detect_file", "user_hash_key_file", "grafana_token_file", "grafana_ca_file",
    )  # fmt: skip
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return path if path is None else path.expanduser()

    @field_validator(
        "database", "events_topic", "otlp_topic", "group", "detect_group", "kafka_bootstrap"
    )
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text:
            raise ValueError("expected some text: give it a value or unset it")
        return text

    @field_validator("database")
    @classmethod
    def _database_name(cls, name: str) -> str:
        if not DATABASE_NAME.fullmatch(name):
            raise ValueError(DATABASE_RULE)
        return name

    @field_validator("clickhouse_url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        # The words of urllib's own errors are parts of the URL, and so of its password.
        if not is_http_url(url):
            raise ValueError(
                "expected http://user:password@host:port with a port of 1 to 65535; "
                "in a password, write / as %2F, ? as %3F, # as %23, @ as %40, [ as %5B and % as %25"
            )
        return url

    @field_validator("grafana_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and (not is_http_url(url) or "?" in url or "#" in url):
            raise ValueError(
                "expected http(s)://host:port, and the path where Grafana is below one; a user "
                "may stand before the host, and in a password %40 for @"
            )
        return url.rstrip("/")

    @field_validator("trace_url")
    @classmethod
    def _address_of_traces(cls, url: str) -> str:
        # It is shown to all users, and becomes a link: nothing of an account, no markup, no macro.
        place = url.replace("{trace}", "0")
        if url and not (is_http_url(place) and _PLAIN_ADDRESS.fullmatch(place)):
            raise ValueError(
                "expected http(s)://host/path, with {trace} where the id of a trace comes if that "
                "is not at the end; no account, blanks, quotes, $, \\, < or >"
            )
        return url

    @field_validator("kafka_bootstrap")
    @classmethod
    def _addresses(cls, servers: str) -> str:
        if "@" in servers:  # what stands before it may be a password
            raise ValueError("expected host:port without an account, several separated by commas")
        for server in servers.split(","):
            host, _colon, port = server.strip().rpartition(":")
            is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65_536
            if not host or not is_port:
                raise ValueError("expected host:port, several separated by commas")
        return servers

    @field_validator("otlp_topic")
    @classmethod
    def _named_as_otlp(cls, topic: str) -> str:
        """Refuse topic names that contradict how their records are written."""
        if topic != "off" and not is_otlp(topic):
            raise ValueError(
                "one part of the name, between dots or dashes, must be `otlp`; `off` reads none"
            )
        return topic

    @field_validator("subjects")
    @classmethod
    def _known_kinds(cls, text: str) -> str:
        kinds = kinds_of(text.replace(" ", ""))
        unknown = [kind for kind in kinds if kind not in SUBJECT_KINDS]
        if text != "off" and (unknown or not kinds):
            raise ValueError(f"use {', '.join(SUBJECT_KINDS)}, separated by commas; `off`: none")
        return text

    @field_validator("events_topic")
    @classmethod
    def _not_named_as_otlp(cls, topic: str) -> str:
        if is_otlp(topic):
            raise ValueError(
                "no part of the name may be `otlp`, which marks topics of OpenTelemetry Collectors"
            )
        return topic

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: `loading.py` is given the environment."""
        return (init_settings,)

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each value that is not a default came from."""
        return self._sources

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics that ingest reads, the events topic first."""
        others = () if self.otlp_topic == "off" else (self.otlp_topic,)
        return (self.events_topic, *others)

    @property
    def subject_kinds(self) -> tuple[str, ...]:
        """Kinds of subjects that are summed, in the order of the table."""
        chosen = kinds_of(self.subjects.replace(" ", ""))
        return tuple(kind for kind in SUBJECT_KINDS if kind in chosen)

    @property
    def restarted_logs(self) -> dict[str, str]:
        """The words under which topics are read as new logs, by topic."""
        words = {self.otlp_topic: self.otlp_log_id, self.events_topic: self.log_id}
        return {topic: word for topic, word in words.items() if word}
