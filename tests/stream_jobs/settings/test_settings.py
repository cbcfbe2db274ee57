"""Settings: where a value comes from, what is refused, and that no password is ever shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.each import each
from tokentide.privacy import hash_user
from tokentide.settings import Settings as ProducerSettings
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.user_hash_key import user_hasher
from tokentide_jobs.urls import redact_url


def stack_file(directory: Path, **changes: Any) -> Path:
    stack = {
        "kafka": "127.0.0.1:1111",
        "clickhouse_url": "http://127.0.0.1:2222",
        "user": "default",
        "password": "a/b",
        "events_topic": "tokentide.events.v1",
        "pid": os.getpid(),
        "broker": "kafka",
        "log_id": "log-a",
        "data_dir": str(directory),
        **changes,
    }
    path = directory / "stack.json"
    path.write_text(json.dumps(stack))
    return path


def test_an_option_beats_the_environment_which_beats_the_running_stack(tmp_path: Path) -> None:
    stack_file(tmp_path)
    environ = {"TOKENTIDE_KAFKA_BOOTSTRAP": "kafka:9092", "TOKENTIDE_GROUP": "env"}
    settings = Settings.from_env(environ, tmp_path, group="option", database=None)
    assert settings.group == "option"
    assert settings.kafka_bootstrap == "kafka:9092"
    assert settings.clickhouse_url == "http://default:a%2Fb@127.0.0.1:2222"
    assert settings.restarted_logs == {}  # the stack's log id is for people
    assert settings.database == "tokentide"
    sources = {item.name: item.source for item in settings.items()}
    assert sources["group"] == "option"
    assert sources["kafka_bootstrap"] == "TOKENTIDE_KAFKA_BOOTSTRAP"
    assert sources["clickhouse_url"] == str(tmp_path / "stack.json")
    assert sources["database"] == "default"


def test_the_key_of_users_hashes_as_the_sdk_does_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("2027:a-new-key-of-16-characters,2026:an-old-key-of-16-characters\n")
    settings = Settings.from_env({"TOKENTIDE_USER_HASH_KEY_FILE": str(file)}, tmp_path)
    user_hash = user_hasher(settings.user_hash_key_file)("ann@example.org")
    sdk = ProducerSettings(user_hash_key=file.read_text().strip())
    assert user_hash == hash_user(sdk, "ann@example.org")
    assert user_hasher(None)("ann@example.org") is None
    for text in (
        "",
        "tiny-key",
        "a:short,b:short",
        "no-id-of-16-characters,second-of-16-characters",
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match="TOKENTIDE_USER_HASH_KEY_FILE is") as refused:
            user_hasher(file)
        assert not text or text not in str(refused.value)
    for unreadable, why in ((tmp_path / "nowhere", "No such file"), (tmp_path / "bytes", "UTF-8")):
        (tmp_path / "bytes").write_bytes(b"a-key-of-16-characters-\xff")
        with pytest.raises(ConfigError, match=rf"cannot be read as text .*{why}.*unset") as refused:
            user_hasher(unreadable)
        assert str(refused.value).count(str(unreadable)) == 1
        assert "xff" not in str(refused.value)


def test_the_file_of_a_stack_that_no_longer_runs_is_ignored(tmp_path: Path) -> None:
    stack_file(tmp_path, pid=2**22 + 1)
    assert Settings.from_env({}, tmp_path).kafka_bootstrap == "127.0.0.1:9092"


def test_a_damaged_stack_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(ConfigError, match=r"stack\.json.*remove the file"):
        Settings.from_env({}, tmp_path)


@each(
    ("variable", "value", "message"),
    [
        ("TOKENTIDE_BATCH_ROWS", "many", "TOKENTIDE_BATCH_ROWS is 'many': expected a whole number"),
        ("TOKENTIDE_BATCH_ROWS", "0", "TOKENTIDE_BATCH_ROWS is 0: expected 1 to 1000000 events"),
        ("TOKENTIDE_DRAIN_S", "soon", "TOKENTIDE_DRAIN_S is 'soon': expected a number"),
        ("TOKENTIDE_DRAIN_S", "nan", "TOKENTIDE_DRAIN_S is nan: expected 0 to 600 s"),
        ("TOKENTIDE_DRAIN_S", "inf", "TOKENTIDE_DRAIN_S is inf: expected 0 to 600 s"),
        ("TOKENTIDE_HTTP_PORT", "65536", "TOKENTIDE_HTTP_PORT is 65536: expected 0 to 65535"),
        ("TOKENTIDE_EVENTS_TOPIC", "a.otlp.v1", "no part of the name may be `otlp`"),
        ("TOKENTIDE_OTLP_TOPIC", "events", "must be `otlp`; `off` reads none"),
        ("TOKENTIDE_KAFKA_BOOTSTRAP", "localhost", "expected host:port"),
        ("TOKENTIDE_KAFKA_BOOTSTRAP", "u:pw@h:9092", r"is 'u:\*{3}@h:9092': .* without an account"),
        ("TOKENTIDE_CLICKHOUSE_URL", "localhost:8123", "expected http://user:password@host:port"),
        ("TOKENTIDE_DATABASE", "a;b", "use 3 to 64 letters, digits and _"),
        ("TOKENTIDE_DATABASE", "d", "use 3 to 64 letters, digits and _"),
        ("TOKENTIDE_DETECT_TIME", "past", "DETECT_TIME is 'past': expected clock or recorded"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    variable: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        Settings.from_env({variable: value})
    assert variable in str(refused.value)


def test_a_wrong_option_is_refused_by_the_name_of_the_option() -> None:
    with pytest.raises(ConfigError, match="--batch-rows is 0"):
        Settings.from_env({}, batch_rows=0)
    with pytest.raises(ConfigError, match="no setting 'nonsense'"):
        Settings.from_env({}, nonsense=1)


def test_no_output_shows_a_password() -> None:
    settings = Settings.from_env({"TOKENTIDE_CLICKHOUSE_URL": "http://ingest:s3cret@ch:8123/"})
    shown = repr(settings) + str(settings) + "".join(item.value for item in settings.items())
    assert "s3cret" not in shown
    assert "http://ingest:***@ch:8123/" in shown
    assert redact_url("http://ch:8123") == "http://ch:8123"


def test_every_setting_says_what_it_does_and_numbers_have_a_range() -> None:
    for item in Settings().items():
        assert item.doc
        assert item.variable == "TOKENTIDE_" + item.name.upper()
        value = getattr(Settings(), item.name)
        is_chosen = item.name == "detect_time"
        assert bool(item.allowed) == (is_chosen or isinstance(value, int | float))


def test_every_wrong_value_is_reported_not_only_the_first() -> None:
    environ = {"TOKENTIDE_BATCH_ROWS": "0", "TOKENTIDE_DRAIN_S": "soon"}
    with pytest.raises(ConfigError) as refused:
        Settings.from_env(environ)
    assert len(str(refused.value).splitlines()) == 2


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.from_env({"TOKENTIDE_CLICKHOUSE_URL": "ftp://ingest:s3cret@ch:8123/"})
    assert "s3cret" not in str(refused.value)


def test_only_the_given_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENTIDE_GROUP", "of-this-process")
    assert Settings.from_env({}).group == Settings().group == "tokentide-ingest"


def test_a_setting_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().group = "other"  # type: ignore[misc]


def test_a_variable_that_is_no_setting_is_named_once_with_the_nearest_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokentide_jobs.settings.loading._logged", set())
    environ = {
        "TOKENTIDE_BATCH_ROW": "5", "TOKENTIDE_XYZZY": "1", "TOKENTIDE_SERVICE": "of the SDK",
        "TOKENTIDE_TEST_ANYTHING": "1", "PATH": "/bin",
    }  # fmt: skip
    for _ in range(3):
        Settings.from_env(environ)
    assert [record.getMessage() for record in caplog.records] == [
        "TOKENTIDE_BATCH_ROW is no setting and does nothing; TOKENTIDE_BATCH_ROWS was meant?",
        "TOKENTIDE_XYZZY is no setting and does nothing",
    ]


def test_kinds_of_subjects_are_chosen_by_name_and_a_wrong_one_is_named() -> None:
    assert Settings.from_env({}).subject_kinds == tuple(SUBJECT_KINDS)
    chosen = Settings.from_env({"TOKENTIDE_SUBJECTS": "run, user"})
    assert chosen.subject_kinds == ("user", "run")
    assert Settings.from_env({"TOKENTIDE_SUBJECTS": "off"}).subject_kinds == ()
    for wrong in ("runs", ",", "user;run"):
        with pytest.raises(ConfigError, match=r"TOKENTIDE_SUBJECTS.*use user, key"):
            Settings.from_env({"TOKENTIDE_SUBJECTS": wrong})


def test_a_password_of_any_characters_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("p@ss:/?#[]% $'\"\\ü\n", encoding="utf-8")
    environ = {
        "TOKENTIDE_CLICKHOUSE_URL": "http://in%40gest@ch:8123",
        "TOKENTIDE_CLICKHOUSE_PASSWORD_FILE": str(secret),
    }
    settings = Settings.from_env(environ)
    parts = urlsplit(settings.clickhouse_url)
    assert unquote(parts.password or "") == "p@ss:/?#[]% $'\"\\ü"
    assert (unquote(parts.username or ""), parts.hostname, parts.port) == ("in@gest", "ch", 8123)
    assert "p%40ss" not in str(settings)


@pytest.mark.parametrize(
    ("url", "content", "words"),
    [
        ("http://u:p@ch:8123", "x", "without a password"),
        ("http://ch:8123", "x", "names an account"),
        ("", "x", "must be http://user@host:port"),
        ("http://u@ch:8123", "\n", "the file is empty"),
        ("http://u@ch:8123", None, "cannot be read"),
    ],
)
def test_a_password_file_that_cannot_be_used_says_why(
    tmp_path: Path, url: str, content: str | None, words: str
) -> None:
    secret = tmp_path / "password"
    if content is not None:
        secret.write_text(content)
    environ = {
        "TOKENTIDE_CLICKHOUSE_URL": url,
        "TOKENTIDE_CLICKHOUSE_PASSWORD_FILE": str(secret),
    }
    with pytest.raises(ConfigError, match=words):
        Settings.from_env(environ)


@pytest.mark.parametrize(
    "address",
    [
        "https://tempo.example/trace/",
        "http://[::1]:16686/trace/{trace}?uiFind=1&x=%20y#top",
        "https://x.example/explore?left=(query:{trace})",
    ],
)
def test_an_address_of_traces_may_be_any_page(address: str) -> None:
    assert Settings.from_env({"TOKENTIDE_TRACE_URL": address}).trace_url == address


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)//{trace}", "tempo.example/", "//tempo.example/", "https:///t",
        "https://me:secret@tempo.example/", "https://x.example/a b", "https://x.example/'",
        'https://x.example/"><img>', "https://x.example/$tokentide$", "https://x.example/${x}",
        "https://x.example/[[model]]", "https://x.example/{id}", "https://x.example/a\nb",
    ],
)  # fmt: skip
def test_an_address_of_traces_holds_nothing_that_is_not_part_of_one(address: str) -> None:
    with pytest.raises(ConfigError, match="TOKENTIDE_TRACE_URL") as refused:
        Settings.from_env({"TOKENTIDE_TRACE_URL": address})
    assert "{trace}" in str(refused.value)
    assert "secret" not in str(refused.value)
