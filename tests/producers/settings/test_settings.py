"""Settings of the producer: sources, types, bounds, and errors that name the setting."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from importlib.metadata import version
from typing import Any, Literal, Optional, get_type_hints

import pytest

import tokentide
from tests.each import each
from tests.places import ROOT
from tokentide.settings import Settings, SettingsError
from tokentide.settings import environment as settings_env
from tokentide.settings.declared import DeclaredSettings
from tokentide.settings.environment import PIPELINE_VARIABLES, unknown_variables
from tokentide.settings.given import GivenSettings
from tokentide.settings.security import warnings_for, without_secrets
from tokentide.settings.values import as_choice
from tokentide_jobs.settings import Settings as PipelineSettings
from tokentide_jobs.settings.loading import OTHER_VARIABLES

DOCS = ROOT / "docs" / "producer.md"


def test_defaults_need_no_environment() -> None:
    settings = Settings.load(env={})
    assert settings.bootstrap == "127.0.0.1:9092"
    assert settings.service == "unknown_service"
    assert settings.disabled is False


def test_keyword_wins_over_own_variable_and_own_variable_over_opentelemetry() -> None:
    env = {"TOKENTIDE_SERVICE": "own", "OTEL_SERVICE_NAME": "otel"}
    assert Settings.load({"service": "keyword"}, env).service == "keyword"
    assert Settings.load({}, env).service == "own"
    assert Settings.load({}, {"OTEL_SERVICE_NAME": "otel"}).service == "otel"


def test_resource_attributes_give_service_and_environment() -> None:
    text = "service.name=shop%20api, deployment.environment.name=prod,team=x,broken"
    settings = Settings.load({}, {"OTEL_RESOURCE_ATTRIBUTES": text})
    assert (settings.service, settings.environment) == ("shop api", "prod")
    older = Settings.load({}, {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old"})
    assert older.environment == "old"


def test_service_name_variable_wins_over_resource_attributes() -> None:
    env = {"OTEL_SERVICE_NAME": "a", "OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}
    assert Settings.load({}, env).service == "a"


@pytest.mark.parametrize(
    ("env", "disabled"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, True),
        ({"OTEL_SDK_DISABLED": "True"}, True),
        ({"OTEL_SDK_DISABLED": "1"}, False),
        ({"TOKENTIDE_DISABLED": "1"}, True),
        ({"TOKENTIDE_DISABLED": "off", "OTEL_SDK_DISABLED": "true"}, False),
        ({"TOKENTIDE_DISABLED": ""}, False),
    ],
)
def test_either_switch_disables(env: dict[str, str], disabled: bool) -> None:
    assert Settings.load({}, env).disabled is disabled


@each(
    ("given", "env", "words"),
    [
        ({}, {"TOKENTIDE_QUEUE_EVENTS": "ten"}, ["TOKENTIDE_QUEUE_EVENTS", "'ten'", "1 to 1e+06"]),
        ({"queue_events": 0}, {}, ["queue_events", "0", "out of range"]),
        ({"queue_events": 1.5}, {}, ["queue_events", "1.5", "whole"]),
        ({"queue_events": True}, {}, ["queue_events", "True", "number"]),
        ({"linger_ms": "nan"}, {}, ["linger_ms", "nan", "range"]),
        ({"compression": "snappy"}, {}, ["compression", "snappy", "zstd"]),
        ({"drop_policy": 3}, {}, ["drop_policy", "3", "newest"]),
        ({"disabled": "maybe"}, {}, ["disabled", "maybe", "true or false"]),
        ({"service": " "}, {}, ["service", "empty"]),
        ({"service": 7}, {}, ["service", "7", "string"]),
        ({"tenant": "x" * 129}, {}, ["tenant", "128"]),
        ({}, {"TOKENTIDE_KAFKA_BOOTSTRAP": "kafka"}, ["TOKENTIDE_KAFKA_BOOTSTRAP", "host:port"]),
        ({"bootstrap": "a:1,b:99999"}, {}, ["bootstrap", "b:99999"]),
        ({"bootstrap": ","}, {}, ["bootstrap", "host:port"]),
        ({"brokers": "a:1"}, {}, ["brokers", "no such setting", "bootstrap"]),
        ({}, {"OTEL_SERVICE_NAME": "x" * 200}, ["OTEL_SERVICE_NAME", "128"]),
    ],
)
def test_a_bad_value_is_refused_with_its_name_its_value_and_the_remedy(
    given: dict[str, object], env: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(given, env)
    for word in words:
        assert word in str(caught.value)


def test_constructing_with_a_bad_value_raises_at_once() -> None:
    with pytest.raises(SettingsError, match="linger_ms"):
        tokentide.Telemetry(linger_ms=-1)


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.load(env={}).service = "other"  # type: ignore[misc]


def test_numbers_from_the_environment_have_the_type_of_the_field() -> None:
    env = {"TOKENTIDE_QUEUE_EVENTS": "12", "TOKENTIDE_LINGER_MS": "2.5"}
    settings = Settings.load({}, env)
    assert (settings.queue_events, settings.linger_ms) == (12, 2.5)
    assert isinstance(settings.queue_events, int)


def test_the_documented_table_is_the_settings_class() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(TOKENTIDE_\w+)` \| `?([^|`]*)`? \| ([^|]*) \| (.*) \|$",
        DOCS.read_text(),
        re.M,
    )
    assert {row[0]: row[1:] for row in rows} == {
        f.name: (
            f.metadata["env"],
            _shown(f.default),
            _range(dict(f.metadata)),
            f.metadata["doc"],
        )
        for f in fields(Settings)
    }


def test_what_a_host_types_is_the_settings_class() -> None:
    typed, declared = get_type_hints(GivenSettings), get_type_hints(DeclaredSettings)
    assert list(typed) == list(declared)
    for one in fields(Settings):
        is_word = one.metadata["check"] is as_choice
        expected = Literal[one.metadata["choices"]] if is_word else declared[one.name]
        assert typed[one.name] == Optional[expected], one.name  # noqa: UP045 (of a Literal made here)


def _shown(default: object) -> str:
    if default == "":
        return "(empty)"
    return str(default).lower() if isinstance(default, bool) else f"{default}"


def _range(meta: dict[str, Any]) -> str:
    if "hook" in meta:
        return "a function, or `module:function`"
    if "range" in meta:
        low, high = meta["range"]
        return f"{low} to {high} {meta['unit']}".strip()
    if "choices" in meta:
        return ", ".join(meta["choices"])
    return f"text, at most {meta['max_length']}"


def test_the_version_is_that_of_the_distribution() -> None:
    assert tokentide.__version__ == version("tokentide")


# -- the environment ------------------------------------------------------------------------------


def test_a_variable_that_is_no_setting_is_named_once_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings_env, "_logged", set())
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAPS", "kafka:9092")
    monkeypatch.setenv("TOKENTIDE_XYZZY", "1")
    for _ in range(3):
        tokentide.Telemetry(disabled=True)
    assert caplog.text.count("TOKENTIDE_KAFKA_BOOTSTRAPS is no setting") == 1
    assert "TOKENTIDE_KAFKA_BOOTSTRAP was meant?" in caplog.text
    assert caplog.text.count("TOKENTIDE_XYZZY is no setting and does nothing") == 1


def test_settings_of_the_pipeline_and_of_tests_are_not_taken_for_errors() -> None:
    settings = [item.variable for item in PipelineSettings.from_env({}).items()]
    pipeline = [*settings, *OTHER_VARIABLES]
    known = Settings.variables().values()
    shared = dict.fromkeys([*pipeline, *known, "TOKENTIDE_TEST_CLICKHOUSE_URL", "PATH"], "x")
    assert unknown_variables(shared, known) == []
    assert set(pipeline) - set(known) == PIPELINE_VARIABLES


# -- security -------------------------------------------------------------------------------------

LOGIN = {"kafka_username": "alice", "kafka_password": "open-sesame"}


@each(
    ("given", "words"),
    [
        ({"kafka_sasl": "plain", **LOGIN}, ["TOKENTIDE_KAFKA_SASL='plain'", "sasl_ssl"]),
        ({"kafka_security": "sasl_ssl"}, ["TOKENTIDE_KAFKA_SASL", "scram-sha-512"]),
        ({"kafka_security": "tls"}, ["kafka_security='tls'", "sasl_ssl"]),
        (
            {"kafka_security": "sasl_ssl", "kafka_sasl": "plain", "kafka_username": "alice"},
            ["TOKENTIDE_KAFKA_PASSWORD"],
        ),
        ({"kafka_security": "sasl_ssl", "kafka_sasl": "oauthbearer"}, ["TOKENTIDE_KAFKA_TOKEN"]),
        (
            {
                "kafka_security": "sasl_ssl",
                "kafka_sasl": "oauthbearer",
                "kafka_token": "t",
                "kafka_token_provider": dict,
            },
            ["give one of"],
        ),
        ({"kafka_security": "ssl", "kafka_cert_file": __file__}, ["both or neither"]),
        ({"kafka_ca_file": "/no/such/ca.pem"}, ["kafka_ca_file='/no/such/ca.pem'", "can read"]),
        ({"kafka_token_provider": "app"}, ["kafka_token_provider='app'", "module:function"]),
    ],
)
def test_security_settings_that_can_not_work_are_refused_with_the_remedy(
    given: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(given, {})
    for word in words:
        assert word in str(caught.value)
    assert "open-sesame" not in str(caught.value)


def test_secrets_are_in_no_representation_and_in_no_refusal() -> None:
    secrets = {
        f.name: f"hidden-{f.name}-0123456789" for f in fields(Settings) if f.metadata.get("secret")
    }
    assert {"kafka_password", "kafka_token", "kafka_key_password", "user_hash_key"} == set(secrets)
    assert "hidden-" not in repr(Settings.load(secrets, {}))
    for name, value in secrets.items():
        with pytest.raises(SettingsError) as caught:
            Settings.load({name: value * 4000}, {})
        assert "hidden-" not in str(caught.value)
        with pytest.raises(SettingsError) as caught:
            Settings.load({name: value.encode()}, {})
        assert "hidden-" not in str(caught.value)


def test_an_error_that_quotes_a_secret_is_shown_without_it() -> None:
    given = {"kafka_token": "token-123", "user_hash_key": "a:0123456789abcdef", **LOGIN}
    settings = Settings.load(given, {})
    quoted = "said open-sesame, token-123 and 0123456789abcdef"
    assert without_secrets(settings, quoted) == "said (hidden), (hidden) and (hidden)"


def test_what_is_unsafe_but_allowed_is_warned_of() -> None:
    sasl = {"kafka_security": "sasl_plaintext", "kafka_sasl": "plain", **LOGIN}
    assert "unencrypted" in warnings_for(Settings.load(sasl, {}))[0]
    scram = {**sasl, "kafka_sasl": "scram-sha-256"}
    assert warnings_for(Settings.load(scram, {})) == []
    trusting = Settings.load({"kafka_security": "ssl", "kafka_verify": "false"}, {})
    assert "any server" in warnings_for(trusting)[0]
    assert warnings_for(Settings.load({"kafka_security": "ssl"}, {})) == []


def test_what_is_set_for_tls_or_a_login_that_does_not_take_place_is_named() -> None:
    (warning,) = warnings_for(Settings.load({"kafka_ca_file": __file__, **LOGIN}, {}))
    for name in ("CA_FILE", "USERNAME", "PASSWORD", "SECURITY is plaintext"):
        assert f"TOKENTIDE_KAFKA_{name}" in warning
    (warning,) = warnings_for(Settings.load({"kafka_security": "ssl", **LOGIN}, {}))
    assert warning.startswith("TOKENTIDE_KAFKA_USERNAME and TOKENTIDE_KAFKA_PASSWORD without")
    assert "open-sesame" not in warning
    assert warnings_for(Settings.load({}, {})) == []


@pytest.mark.parametrize("given", ["user:s3cret@kafka", "a:1,user:s3cret@kafka:9092"])
def test_an_account_among_the_addresses_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(SettingsError, match="TOKENTIDE_KAFKA_PASSWORD") as refused:
        Settings.load({"bootstrap": given}, {})
    assert "s3cret" not in str(refused.value)
