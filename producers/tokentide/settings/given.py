"""Settings as a host types them: `Telemetry(service="search-api", compression="lz4")`.

For type checkers and editors alone; nothing imports it at run time. A test holds it equal to
`DeclaredSettings`, field by field, with every word that may be chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypedDict


class GivenSettings(TypedDict, total=False):
    """Fields of `tokentide.Settings`; what is absent or None comes from the environment."""

    bootstrap: str | None
    topic: str | None
    service: str | None
    environment: str | None
    tenant: str | None
    team: str | None
    include_usage: bool | None
    disabled: bool | None
    queue_events: int | None
    backlog_bytes: int | None
    drop_policy: Literal["newest", "oldest"] | None
    frame_events: int | None
    frame_bytes: int | None
    linger_ms: float | None
    compression: Literal["zstd", "lz4", "gzip", "none"] | None
    stats_interval_s: float | None
    exit_timeout_s: float | None
    spool_dir: str | None
    spool_max_bytes: int | None
    user_hash_key: str | None
    redact: Callable[..., object] | str | None
    detect: str | None
    capture_content: Literal["none", "input", "output", "all"] | None
    content_topic: str | None
    content_max_chars: int | None
    content_sample_rate: float | None
    read_control: bool | None
    control_topic: str | None
    control_bytes: int | None
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] | None
    kafka_ca_file: str | None
    kafka_cert_file: str | None
    kafka_key_file: str | None
    kafka_key_password: str | None
    kafka_check_hostname: bool | None
    kafka_verify: bool | None
    kafka_sasl: Literal["none", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"] | None
    kafka_username: str | None
    kafka_password: str | None
    kafka_token: str | None
    kafka_token_file: str | None
    kafka_token_provider: Callable[..., object] | str | None
