"""Every setting of a producer: its field, its variable, its default and its bounds.

docs/producer.md lists every field, and a test holds that table equal to this class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from tokentide._contract import CONTENT_TOPIC, CONTROL_TOPIC, EVENTS_TOPIC
from tokentide.settings.values import (
    addresses,
    choice,
    directory,
    file,
    hook,
    number,
    secret,
    several,
    switch,
    text,
)

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSettings:
    """The fields of `tokentide.Settings`, declared; `load` there reads and validates them."""

    bootstrap: str = addresses(
        "TOKENTIDE_KAFKA_BOOTSTRAP",
        "127.0.0.1:9092",
        "Kafka brokers to start from, `host:port`, separated by commas",
    )
    topic: str = text(
        "TOKENTIDE_EVENTS_TOPIC", EVENTS_TOPIC, "topic the frames go to", max_length=249
    )
    service: str = text(
        "TOKENTIDE_SERVICE",
        "unknown_service",
        "`service` of every event; also `OTEL_SERVICE_NAME`, or `service.name` in "
        "`OTEL_RESOURCE_ATTRIBUTES`",
    )
    environment: str = text(
        "TOKENTIDE_ENVIRONMENT",
        "",
        "`environment` of every event; also `deployment.environment.name` in "
        "`OTEL_RESOURCE_ATTRIBUTES`",
    )
    tenant: str = text("TOKENTIDE_TENANT", "", "`tenant` of events that name none")
    team: str = text("TOKENTIDE_TEAM", "", "`team` of events that name none")
    include_usage: bool = switch(
        "TOKENTIDE_INCLUDE_USAGE",
        False,
        "ask OpenAI-compatible servers for the token counts of streams that do not ask themselves; "
        "the extra chunk they send is kept from the service",
    )
    disabled: bool = switch(
        "TOKENTIDE_DISABLED", False, "emit nothing and start no thread; also `OTEL_SDK_DISABLED`"
    )

    queue_events: int = number(
        "TOKENTIDE_QUEUE_EVENTS",
        10_000,
        1,
        1_000_000,
        "events",
        "events that may wait to be encoded; beyond it events are dropped and counted",
    )
    backlog_bytes: int = number(
        "TOKENTIDE_BACKLOG_BYTES",
        8 * _MIB,
        1024,
        1024 * _MIB,
        "bytes",
        "encoded events that may wait for the broker",
    )
    drop_policy: str = choice(
        "TOKENTIDE_DROP_POLICY",
        "newest",
        ("newest", "oldest"),
        "which events are dropped when there is no room: the `newest` ones or the `oldest`",
    )
    frame_events: int = number(
        "TOKENTIDE_FRAME_EVENTS", 500, 1, 500, "events", "largest number of events in one record"
    )
    frame_bytes: int = number(
        "TOKENTIDE_FRAME_BYTES",
        256 * 1024,
        1024,
        256 * 1024,
        "bytes",
        "largest payload of one record before compression",
    )
    linger_ms: float = number(
        "TOKENTIDE_LINGER_MS",
        200.0,
        1,
        10_000,
        "ms",
        "how often the background thread collects what was emitted; a quarter of it under load",
    )
    compression: str = choice(
        "TOKENTIDE_COMPRESSION",
        "zstd",
        ("zstd", "lz4", "gzip", "none"),
        "codec of the Kafka records",
    )
    stats_interval_s: float = number(
        "TOKENTIDE_STATS_INTERVAL_S",
        30.0,
        0.1,
        3600,
        "s",
        "time between two `stats` events of this producer",
    )
    exit_timeout_s: float = number(
        "TOKENTIDE_EXIT_TIMEOUT_S",
        2.0,
        0,
        60,
        "s",
        "longest delay of the interpreter's exit to deliver what is left",
    )

    spool_dir: str = directory(
        "TOKENTIDE_SPOOL_DIR",
        "directory where events wait on the disk while the broker is away; none when absent",
    )
    spool_max_bytes: int = number(
        "TOKENTIDE_SPOOL_MAX_BYTES",
        256 * _MIB,
        _MIB,
        1024 * 1024 * _MIB,
        "bytes",
        "bound of that directory, for all processes that share it",
    )

    user_hash_key: str = secret(
        "TOKENTIDE_USER_HASH_KEY",
        "secret under which user ids are hashed: one key, or `id:key,id:key`, newest first",
    )
    redact: Callable[..., object] | str = hook(  # noqa: RUF009
        "TOKENTIDE_REDACT", "function that sees every event before it is queued"
    )
    detect: str = several(
        "TOKENTIDE_DETECT",
        ("email", "phone", "card", "iban", "secret"),
        "classes of sensitive text to count in prompts and responses, separated by commas; or all",
    )
    capture_content: str = choice(
        "TOKENTIDE_CAPTURE_CONTENT",
        "none",
        ("none", "input", "output", "all"),
        "prompts and responses to send to the content topic; also "
        "`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`",
    )
    content_topic: str = text(
        "TOKENTIDE_CONTENT_TOPIC",
        CONTENT_TOPIC,
        "topic prompts and responses go to",
        max_length=249,
    )
    content_max_chars: int = number(
        "TOKENTIDE_CONTENT_MAX_CHARS",
        8192,
        1,
        65_536,
        "characters",
        "longest input, and longest output, that is captured of one call",
    )
    content_sample_rate: float = number(
        "TOKENTIDE_CONTENT_SAMPLE_RATE", 1.0, 0, 1, "", "share of calls whose content is captured"
    )

    read_control: bool = switch(
        "TOKENTIDE_READ_CONTROL",
        False,
        "read the state of runs and budgets, so that the service can ask for it and stop itself",
    )
    control_topic: str = text(
        "TOKENTIDE_CONTROL_TOPIC",
        CONTROL_TOPIC,
        "topic the state of runs and budgets is read from",
        max_length=249,
    )
    control_bytes: int = number(
        "TOKENTIDE_CONTROL_BYTES",
        4 * _MIB,
        65_536,
        1024 * _MIB,
        "bytes",
        "memory for these states; beyond it the ones that changed longest ago are dropped",
    )

    kafka_security: str = choice(
        "TOKENTIDE_KAFKA_SECURITY",
        "plaintext",
        ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
        "how to talk to Kafka: with TLS (`ssl`), with a login (`sasl`), both or neither",
    )
    kafka_ca_file: str = file(
        "TOKENTIDE_KAFKA_CA_FILE", "PEM file of the authorities to trust; the system's when absent"
    )
    kafka_cert_file: str = file(
        "TOKENTIDE_KAFKA_CERT_FILE", "PEM file of this client's certificate"
    )
    kafka_key_file: str = file("TOKENTIDE_KAFKA_KEY_FILE", "PEM file of this client's private key")
    kafka_key_password: str = secret(
        "TOKENTIDE_KAFKA_KEY_PASSWORD", "password of the private key, when it has one"
    )
    kafka_check_hostname: bool = switch(
        "TOKENTIDE_KAFKA_CHECK_HOSTNAME",
        True,
        "the certificate of a broker must name the host that was asked for",
    )
    kafka_verify: bool = switch(
        "TOKENTIDE_KAFKA_VERIFY", True, "false trusts any server, for tests only; logged"
    )
    kafka_sasl: str = choice(
        "TOKENTIDE_KAFKA_SASL",
        "none",
        ("none", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"),
        "mechanism of the login",
    )
    kafka_username: str = text("TOKENTIDE_KAFKA_USERNAME", "", "user of the login", max_length=256)
    kafka_password: str = secret("TOKENTIDE_KAFKA_PASSWORD", "password of the login")
    kafka_token: str = secret(
        "TOKENTIDE_KAFKA_TOKEN", "token for `oauthbearer` that does not change", max_length=65_536
    )
    kafka_token_file: str = file(
        "TOKENTIDE_KAFKA_TOKEN_FILE",
        "file with the token, read again for every connection",
    )
    kafka_token_provider: Callable[..., object] | str = hook(  # noqa: RUF009
        "TOKENTIDE_KAFKA_TOKEN_PROVIDER",
        "function that returns the token, called for every connection in the background thread",
    )

    @property
    def reads_content(self) -> bool:
        """Whether prompts and responses are to be looked at, by detectors or to capture them."""
        return bool(self.detect) or self.capture_content != "none"

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the environment variable of each field."""
        return {f.name: f.metadata["env"] for f in fields(cls)}
