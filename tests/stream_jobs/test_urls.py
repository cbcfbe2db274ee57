"""No message, log line or table shows the password of a URL, however the URL is written."""

from __future__ import annotations

import io
import json
import logging
import time

import pytest

from tests.each import each
from tokentide_jobs.cli.main import main
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.jobs.runtime.log import log_event, setup_logging
from tokentide_jobs.settings import Settings
from tokentide_jobs.urls import redact_text, redact_url

SECRET = "s3cr:t/p@ss"


@each(
    ("url", "shown"),
    [
        ("http://ingest:{}@ch:8123/", "http://ingest:***@ch:8123/"),
        ("http://:{}@ch", "http://:***@ch"),
        ("ingest:{}@ch:8123", "ingest:***@ch:8123"),
        ("http//ingest:{}@ch", "http//ingest:***@ch"),
        ("http:/ingest:{}@ch", "http:/ingest:***@ch"),
        ("kafka://a:{}@b:9092,c:9092", "kafka://a:***@b:9092,c:9092"),
        ("http://ch:8123/?user=a&password={}", "http://ch:8123/?user=a&password=***"),
        ("http://ch/?X-ClickHouse-Key={}&x=1", "http://ch/?X-ClickHouse-Key=***&x=1"),
        ("http://ch/?x=1?token?y={}#z", "http://ch/?x=1?token?y=***#z"),
        ("http://ch/?key&a;my-Secret={};x", "http://ch/?key&a;my-Secret=***;x"),
    ],
)
def test_a_password_is_hidden_wherever_it_stands_in_a_url(url: str, shown: str) -> None:
    secret = "s3cr3t" if "=" in url else SECRET
    assert redact_url(url.format(secret)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://ch:8123",
        "host:9092,other:9092",
        "team@acme",
        "",
        "http://key/?x=1",
        "http://h/?a&b=1",
    ],
)
def test_what_holds_no_password_is_left_as_it_is(text: str) -> None:
    assert redact_url(text) == redact_text(text) == text


def test_a_message_keeps_everything_but_the_password() -> None:
    text = "no answer from http://u:s3cret@ch:8123 (see http://docs/x@y), code 3"
    assert redact_text(text) == "no answer from http://u:***@ch:8123 (see http://docs/x@y), code 3"


def test_a_password_is_hidden_whatever_stands_before_its_url() -> None:
    for before in ("1", "-", "+9.", "url=", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        assert "s3cret" not in redact_text(f"{before}http://u:s3cret@ch")


@each(
    "text", ["x" * 100_000, "a." * 50_000, "http://h/" + "?" * 20_000, "http://h/" + "?key" * 2_000]
)
def test_a_long_text_costs_no_more_than_short_ones_of_this_length(text: str) -> None:
    begin_s = time.process_time()
    redact_text(text)
    assert time.process_time() - begin_s < 2, "tried from each character it takes 5 to 20 s"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOKENTIDE_CLICKHOUSE_URL", "http//ingest:s3cret@ch:8123"),
        ("TOKENTIDE_KAFKA_BOOTSTRAP", "user:s3cret@kafka"),
        ("TOKENTIDE_KAFKA_BOOTSTRAP", "user:s3cret@kafka:9092"),
        ("TOKENTIDE_CLICKHOUSE_URL", "http://127.0.0.1:9/?password=s3cret"),
    ],
)
def test_neither_settings_nor_errors_show_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    main(["config"])
    main(["sql", "SELECT 1"])
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert "s3cret" not in shown.out + shown.err


@pytest.mark.parametrize(
    "url",
    [
        "http://u:sec/ret@127.0.0.1:8123",
        "http://u:sec?ret@127.0.0.1:8123",
        "http://u:sec#ret@127.0.0.1:8123",
        "http://u:12/ret@127.0.0.1:8123",
        "http://u:[sec@127.0.0.1:8123",
        "http://u:sec\u2100ret@127.0.0.1:8123",
        "http://u:sec@127.0.0.1:notaport",
        "http://u:sec@127.0.0.1:99999",
        "http://u:sec@127.0.0.1:0",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_a_part_of_its_password(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", url)
    assert main(["sql", "SELECT 1"]) == 2
    shown = capsys.readouterr()
    assert "TOKENTIDE_CLICKHOUSE_URL is 'http://u:***@127.0.0.1:" in shown.err
    assert "write / as %2F" in shown.err
    for part in ("sec", "ret", "12/"):
        assert part not in shown.out + shown.err


@pytest.mark.parametrize("servers", ["kafka:99999", "kafka:0", "kafka:\u00b2", ":9092", "kafka"])
def test_a_broker_that_no_port_can_reach_is_refused(servers: str) -> None:
    with pytest.raises(ConfigError, match="expected host:port"):
        Settings.from_env({"TOKENTIDE_KAFKA_BOOTSTRAP": servers})


def test_the_log_does_not_show_it() -> None:
    settings = Settings.from_env({"TOKENTIDE_CLICKHOUSE_URL": "http://a:s3cret@ch:8123"})
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        setup_logging(stream=stream)
        log = logging.getLogger("tokentide_jobs.test")
        log_event(
            log, logging.ERROR, "step_failed", error=f"no answer at {settings.clickhouse_url}"
        )
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert json.loads(stream.getvalue())["error"] == "no answer at http://a:***@ch:8123"
