"""detect.yaml, as far as alerts go: taken whole or refused whole, secrets never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.each import each
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.alert_file import load_alert_file, parse_alert_file
from tokentide_jobs.io.files.detect_file import parse_detect_rules

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {"HOOK_SECRET": SECRET, "SLACK_URL": "https://hooks.slack.com/services/T/B/hush"}

WHOLE = """
run_guard: {repeats: 9}
alerts:
  page_usd_per_hour: 12.50
  page_failed_per_minute: 3
  cooldown_minutes: 5
  storm_opens: 9
notify:
  - {name: oncall, kind: webhook, url: "https://h/x", secret_env: HOOK_SECRET, severity: page}
  - {name: chat, kind: slack, url_env: SLACK_URL}
"""


def parse(text: str) -> None:
    parse_alert_file(text.encode(), "detect.yaml", ENVIRONMENT)


def test_rules_and_receivers_are_read_and_other_sections_are_left_to_others() -> None:
    found = parse_alert_file(WHOLE.encode(), "detect.yaml", ENVIRONMENT)
    assert found.rules == AlertRules(
        page_pico_usd_per_hour=12_500_000_000_000, page_failed_per_minute=3.0,
        cooldown_us=300_000_000, storm_opens=9,
    )  # fmt: skip
    oncall, chat = found.receivers
    assert (oncall.severities, len(oncall.secret)) == (("page",), 24)
    assert (chat.kind, chat.url, chat.place) == (
        "slack", ENVIRONMENT["SLACK_URL"], "https://hooks.slack.com",
    )  # fmt: skip
    assert parse_detect_rules(WHOLE.encode(), "detect.yaml").guard.repeats == 9


def test_without_a_file_defaults_hold_and_there_is_no_receiver() -> None:
    found = load_alert_file(None)
    assert (found.rules, found.receivers) == (AlertRules(), ())


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    text = f"notify: [{{name: a, kind: webhook, url: 'http://h/', secret_file: {tmp_path}/secret}}]"
    assert parse_alert_file(text.encode(), "f", {}).receivers[0].secret


@each(
    ("text", "reason"),
    [
        ("alert: {}", "f:1: alert: unknown in the file; known: run_guard, anomalies, pipeline,"),
        ("alerts: {page_usd_per_hour: lots}", "'lots' is no number from 0 to 1,000,000"),
        ("alerts: {storm_opens: 1.5}", "storm_opens: '1.5' is no whole number from 1 to 10,000"),
        ("alerts: {ticket_usd_per_hour: 60}", "ticket_usd_per_hour: more than that of a page"),
        ("notify: {name: a}", "notify: expected a list of receivers"),
        ("notify: [{name: a b, kind: slack, url: 'http://h/'}]", "name: 'a b' is no name"),
        ("notify: [{name: a, kind: mail, url: 'http://h/'}]", "'mail' is none of webhook, slack"),
        ("notify: [{name: a, kind: slack}]", "url: give exactly one of url, url_env or …_file"),
        ("notify: [{name: a, kind: webhook, url: 'http://h/'}]", "exactly one of secret_env or"),
        ("notify: [{name: a, kind: slack, url_env: NOPE}]", "the environment has no NOPE"),
        ("notify: [{name: a, kind: slack, url_file: /none}]", "/none: No such file"),
        ("notify: [{name: a, kind: slack, url_file: /dev/null}]", "/dev/null is empty"),
        ("notify: [{name: a, kind: slack, url_file: ~no_such_user/x}]", "x: it is no text"),
        ("notify: [{name: a, kind: slack, url_file: \"a\\0b\"}]", "a character that no text may"),
        ("notify: [{name: a, kind: slack, url: 'http://a..b/hush'}]", "url: expected an address"),
        ("notify: [{name: a, kind: slack, url: 'ftp://h/hush'}]", "url: expected an address http"),
        ("notify:\\n- {name: a, kind: slack, url: 'http://h/'}\\n- {name: a, kind: slack, url: 'http://i/'}",
         "f:2: name: 'a' is given to several receivers"),
        ("notify: [{name: a, kind: slack, url: 'http://h/', severity: loud}]", "'loud' is none of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_alert_file(text.replace("\\n", "\n").encode(), "f", ENVIRONMENT)
    assert reason in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_file_that_cannot_be_read_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="correct TOKENTIDE_DETECT_FILE"):
        load_alert_file(tmp_path / "none.yaml")
