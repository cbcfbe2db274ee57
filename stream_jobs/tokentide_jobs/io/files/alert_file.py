"""detect.yaml, as far as alerts go: the section `alerts` and the list `notify`.

Secrets and addresses that are secrets stand in the environment or in files, which the file names.
Nothing of them is ever part of a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from yaml.nodes import MappingNode, Node, SequenceNode

from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.finding import SEVERITIES, Severity
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.detect_file import detect_content
from tokentide_jobs.io.files.yaml_entries import (
    Problems,
    mapping,
    sections,
    value_text,
)
from tokentide_jobs.io.files.yaml_numbers import number
from tokentide_jobs.io.notify.receiver import Receiver, checked_url, secret_bytes

__all__ = ["AlertFile", "alerts_of", "load_alert_file", "parse_alert_file"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DOLLAR: Final = 10**12
_KINDS: Final = ("webhook", "slack")
_RULES: Final = {
    "page_usd_per_hour": ("page_pico_usd_per_hour", _DOLLAR, 0, 1_000_000),
    "page_failed_per_minute": ("page_failed_per_minute", 1, 0, 1_000_000),
    "ticket_usd_per_hour": ("ticket_pico_usd_per_hour", _DOLLAR, 0, 1_000_000),
    "ticket_failed_per_minute": ("ticket_failed_per_minute", 1, 0, 1_000_000),
    "cooldown_minutes": ("cooldown_us", MINUTE_US, 1, 1_440),
    "flaps": ("flaps", 1, 1, 1_000),
    "incident_minutes": ("incident_us", MINUTE_US, 1, 1_440),
    "storm_opens": ("storm_opens", 1, 1, 10_000),
    "storm_minutes": ("storm_us", MINUTE_US, 1, 1_440),
    "history_minutes": ("history_lag_us", MINUTE_US, 1, 1_440),
}
"""By key of the file: the field of the rules, how many of it one is, least and most."""
_WHOLE: Final = ("flaps", "storm_opens")
_RECEIVER: Final = (
    "name", "kind", "url", "url_env", "url_file", "secret_env", "secret_file", "severity",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertFile:
    """What the file holds."""

    rules: AlertRules
    receivers: tuple[Receiver, ...]


def load_alert_file(path: Path | None, environment: Mapping[str, str] = os.environ) -> AlertFile:
    """Read the rules and receivers of this installation.

    Args:
        path: The file that `TOKENTIDE_DETECT_FILE` names; None: defaults, and no receiver.
        environment: Where secrets are looked up.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong.
    """
    if path is None:
        return AlertFile(AlertRules(), ())
    return parse_alert_file(detect_content(path), str(path), environment)


def parse_alert_file(content: bytes, name: str, environment: Mapping[str, str]) -> AlertFile:
    """Read the text of a detect.yaml.

    Args:
        content: The file's bytes.
        name: Its name, for messages.
        environment: Where secrets are looked up.

    Raises:
        ConfigError: Something is wrong; the message lists every problem with its line.
    """
    problems = Problems(name, "rules of detection")
    alerts = alerts_of(sections(content, problems), environment, problems)
    problems.raise_if_any()
    return alerts


def alerts_of(
    nodes: Mapping[str, Node], environment: Mapping[str, str], problems: Problems
) -> AlertFile:
    """Read the sections that are read here; of no use once there is a problem.

    Args:
        nodes: Sections of the file.
        environment: Where secrets are looked up.
        problems: Where to note what is wrong.
    """
    rules = _rules(nodes.get("alerts"), problems)
    return AlertFile(rules, _receivers(nodes.get("notify"), environment, problems))


def _rules(node: Node | None, problems: Problems) -> AlertRules:
    if node is None:
        return AlertRules()
    values: dict[str, int | float] = {}
    for key, value in mapping(node, tuple(_RULES), "alerts", problems).items():
        field, scale, low, high = _RULES[key]
        written = number(key, value, (low, high), problems, is_whole=key in _WHOLE)
        if written is not None:
            values[field] = float(written) if "failed" in key else int(written * scale)
    rules = AlertRules(**values)  # type: ignore[arg-type]  # each field as _RULES says
    for what in ("pico_usd_per_hour", "failed_per_minute"):
        if getattr(rules, f"ticket_{what}") > getattr(rules, f"page_{what}"):
            key = f"ticket_{what}".replace("pico_", "")
            problems.add(node, f"{key}: more than that of a page")
    return rules


def _receivers(
    node: Node | None, environment: Mapping[str, str], problems: Problems
) -> tuple[Receiver, ...]:
    if node is None:
        return ()
    if not isinstance(node, SequenceNode):
        problems.add(node, "notify: expected a list of receivers")
        return ()
    receivers = [_receiver(one, environment, problems) for one in node.value]
    names = [one.name for one in receivers if one is not None]
    for one, entry in zip(receivers, node.value, strict=True):
        if one is not None and names.count(one.name) > 1:
            problems.add(entry, f"name: {one.name!r} is given to several receivers")
    return tuple(one for one in receivers if one is not None)


def _receiver(node: Node, environment: Mapping[str, str], problems: Problems) -> Receiver | None:
    before = len(problems.found)
    fields = mapping(node, _RECEIVER, "a receiver", problems)
    if not isinstance(node, MappingNode):
        return None
    texts = {key: value_text(key, value, problems) for key, value in fields.items()}
    name, kind = texts.get("name", ""), texts.get("kind", "")
    severity = texts.get("severity", "ticket")
    if not _NAME.fullmatch(name):
        problems.add(node, f"name: {name!r} is no name of letters, digits and _ . -")
    if kind not in _KINDS:
        problems.add(fields.get("kind", node), f"kind: {kind!r} is none of {', '.join(_KINDS)}")
    if severity not in SEVERITIES:
        problems.add(
            fields["severity"], f"severity: {severity!r} is none of {', '.join(SEVERITIES)}"
        )
    url = _secret("url", texts, fields, node, environment, problems)
    secret = b""
    try:
        if url:
            checked_url(url)
    except ConfigError as error:
        problems.add(node, f"url: {error}")
    if kind == "webhook":
        try:
            text = _secret("secret", texts, fields, node, environment, problems)
            secret = secret_bytes(text) if text else b""
        except ConfigError as error:
            problems.add(node, f"secret: {error}")
    elif "secret_env" in fields or "secret_file" in fields:
        problems.add(node, "secret: only webhooks are signed")
    if len(problems.found) > before:
        return None
    return Receiver(
        name=name,
        kind=cast('Literal["webhook", "slack"]', kind),
        url=url,
        secret=secret,
        severity=cast("Severity", severity),
    )


def _secret(
    what: str,
    texts: Mapping[str, str],
    fields: Mapping[str, Node],
    node: Node,
    environment: Mapping[str, str],
    problems: Problems,
) -> str:
    """Return a value that may be written here (a url), in the environment, or in a file."""
    names = [key for key in (what, f"{what}_env", f"{what}_file") if key in texts]
    choices = f"{what}_env or {what}_file" if what == "secret" else f"{what}, {what}_env or …_file"
    if len(names) != 1:
        problems.add(node, f"{what}: give exactly one of {choices}")
        return ""
    (key,) = names
    written = texts[key]
    if key == what:
        return written
    if key.endswith("_env"):
        if not environment.get(written):
            problems.add(fields[key], f"{key}: the environment has no {written}")
        return environment.get(written, "")
    try:
        found = Path(written).expanduser().read_text("utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:  # no text; ~ of no user
        why = getattr(error, "strerror", None) or "it is no text, or no such path"
        problems.add(fields[key], f"{key}: {written}: {why}")
        return ""
    if not found:
        problems.add(fields[key], f"{key}: {written} is empty")
    return found
