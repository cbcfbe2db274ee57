"""Variables of OpenTelemetry that fill in settings, and `TOKENTIDE_*` variables that are none.

A `TOKENTIDE_*` variable that is no setting is most often a typing error, which would otherwise
leave a default in force in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tokentide.log import logger

_PIPELINE = (
    "BATCH_AGE_MS BATCH_BYTES BATCH_ROWS BREAKER_EVENTS BREAKER_PAUSE_S BREAKER_RATIO "
    "BUDGETS_FILE BUFFER_BYTES CLICKHOUSE_PASSWORD_FILE CLICKHOUSE_URL DATABASE "
    "DATA_DIR DETECT_FILE DETECT_GROUP DETECT_TIME DRAIN_S GRAFANA_CA_FILE "
    "GRAFANA_PASSWORD GRAFANA_TOKEN GRAFANA_TOKEN_FILE GRAFANA_URL GROUP HTTP_HOST HTTP_PORT "
    "INSERT_TIMEOUT_S LOG_ID MAX_EVENT_AGE_S MAX_EVENT_AHEAD_S MAX_SUBJECTS MIN_FREE_BYTES "
    "OTLP_LOG_ID OTLP_TOPIC PRICES_FILE RETRY_MAX_S SESSION_TIMEOUT_MS SLOS_FILE SNAPSHOT_S "
    "SUBJECTS TOKEN_WINDOW_S TRACE_URL USER_HASH_KEY_FILE WATCHDOG_S"
)
PIPELINE_VARIABLES = frozenset(f"TOKENTIDE_{name}" for name in _PIPELINE.split())
"""Variables of the pipeline, which may share an environment with a producer; a test keeps them."""

_logged: set[str] = set()

_CAPTURING = {"true", "1", "span_only", "event_only", "span_and_event"}


def unknown_variables(env: Mapping[str, str], known: Iterable[str]) -> list[tuple[str, str]]:
    """Return (variable, nearest known one or "") for each `TOKENTIDE_*` that is no setting."""
    names = sorted(known)
    unknown = sorted(
        name
        for name in env
        if name.startswith("TOKENTIDE_")
        and not name.startswith("TOKENTIDE_TEST_")
        and name not in names
        and name not in PIPELINE_VARIABLES
    )
    if not unknown:
        return []
    from difflib import get_close_matches  # only here: no other path pays for its import

    return [(name, next(iter(get_close_matches(name, names, 1, 0.8)), "")) for name in unknown]


def log_unknown_variables(env: Mapping[str, str], known: Iterable[str]) -> None:
    """Log each unknown variable once in the life of the process."""
    for name, nearest in unknown_variables(env, known):
        if name not in _logged:
            _logged.add(name)
            meant = f"; {nearest} was meant?" if nearest else ""
            logger.warning("%s is no setting and does nothing%s", name, meant)


def from_opentelemetry(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return field name -> (variable, text) for what OpenTelemetry's own variables say."""
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
    variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    if env.get(variable):
        # Where OpenTelemetry would put it (span or event) means nothing here; anything that it
        # does not know means no content, there as here.
        captures = env[variable].strip().lower() in _CAPTURING
        found["capture_content"] = (variable, "all" if captures else "none")
    return found


def _resource_attributes(text: str) -> dict[str, str]:
    """Return OpenTelemetry's `key=value,key=value` with percent-encoded values."""
    if not text:
        return {}
    from urllib.parse import unquote  # only here, because it costs a tenth of the import

    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
