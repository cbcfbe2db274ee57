"""The producer against a real Kafka that wants TLS and a login."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.producers.delivery.secure_kafka import (
    KEY_PASSWORD,
    PASSWORD,
    USER,
    Authority,
    SecureKafka,
    bearer_token,
)
from tokentide import Telemetry
from tokentide.check import check
from tokentide.delivery import kafka
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.control import ControlPublisher
from tokentide_schemas import EVENT_ADAPTER
from tokentide_schemas.control import RunState
from tokentide_schemas.topics import TopicSpec

pytestmark = pytest.mark.integration

TOPIC = "secure.events"
CONTENT = "secure.content"
STATES = "secure.states"


@dataclass(frozen=True)
class Secure:
    broker: SecureKafka
    authority: Authority

    def settings(self, sasl: str, **given: Any) -> dict[str, Any]:
        """Return settings of a producer that gets in, changed by what is given."""
        login: dict[str, Any] = {"kafka_username": USER, "kafka_password": PASSWORD}
        return {
            "bootstrap": f"localhost:{self.broker.sasl_port}",
            "topic": TOPIC,
            "content_topic": CONTENT,
            "service": "s",
            "linger_ms": 5,
            "kafka_security": "sasl_ssl",
            "kafka_sasl": sasl,
            "kafka_ca_file": self.authority.ca_file,
            **({} if sasl == "oauthbearer" else login),
            **given,
        }

    def read(self, topic: str = TOPIC) -> list[dict[str, Any]]:
        return asyncio.run(self._read(topic))

    async def _read(self, topic: str) -> list[dict[str, Any]]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            (end,) = (await consumer.end_offsets([partition])).values()
            found: list[dict[str, Any]] = []
            seen = 0
            async with asyncio.timeout(20):
                while seen < end:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        seen += len(records)
                        for record in records:
                            found += map(orjson.loads, record.value.split(b"\n"))
            return found
        finally:
            await consumer.stop()


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    authority = Authority.new(folder / "authority")
    broker = SecureKafka(folder, authority)
    broker.start()
    try:
        topics = [
            TopicSpec(name, "none", "event", partitions=1) for name in (TOPIC, CONTENT, STATES)
        ]
        asyncio.run(ensure_topics(broker.bootstrap, topics))
        yield Secure(broker, authority)
    finally:
        broker.stop()


async def say_stop(bootstrap: str) -> None:
    publisher = ControlPublisher(bootstrap, STATES)
    await publisher.start()
    try:
        state = RunState(tenant="", run="r", state="stop", spend_pico_usd=1, at_us=1)
        await publisher.publish([state])
    finally:
        await publisher.stop()


def test_states_are_read_back_by_the_same_login_and_no_error_tells_it(secure: Secure) -> None:
    asyncio.run(say_stop(secure.broker.bootstrap))
    reads: dict[str, Any] = {
        "read_control": True, "control_topic": STATES, "exit_timeout_s": 1.0,
    }  # fmt: skip
    with Telemetry(**secure.settings("scram-sha-256", **reads)) as telemetry:
        deadline_s = time.monotonic() + 90
        while not telemetry.run_state("r").must_stop:
            assert time.monotonic() < deadline_s, telemetry.run_state("r")
            time.sleep(0.02)
    wrong = secure.settings("plain", **reads, kafka_password="not-the-password")
    with Telemetry(**wrong) as telemetry:
        while telemetry.run_state("r").reason.endswith("just begun"):
            assert time.monotonic() < deadline_s + 90
            time.sleep(0.02)
        state = telemetry.run_state("r")
    assert (state.state, state.must_stop) == ("unknown", False)
    assert "not-the-password" not in state.reason


def delivered(secure: Secure, feature: str) -> int:
    return sum(event.get("feature") == feature for event in secure.read())


def emit(telemetry: Telemetry, feature: str) -> None:
    with telemetry.request(provider="openai", feature=feature) as call:
        call.record_usage(input_tokens=1, output_tokens=1)


@pytest.mark.parametrize("sasl", ["plain", "scram-sha-256", "scram-sha-512"])
def test_a_login_with_a_password_delivers(secure: Secure, sasl: str) -> None:
    with Telemetry(**secure.settings(sasl)) as telemetry:
        emit(telemetry, sasl)
        assert telemetry.flush(30), telemetry.stats().last_error
    assert delivered(secure, sasl) == 1


def test_a_token_delivers_whether_given_read_from_a_file_or_asked_for(
    secure: Secure, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(bearer_token() + "\n")
    sources: list[dict[str, Any]] = [
        {"kafka_token": bearer_token()},
        {"kafka_token_file": str(token_file)},
        {"kafka_token_provider": bearer_token},
    ]
    for source in sources:
        with Telemetry(**secure.settings("oauthbearer", **source)) as telemetry:
            emit(telemetry, "token")
            assert telemetry.flush(30), telemetry.stats().last_error
    assert delivered(secure, "token") == 3


def test_a_client_certificate_with_a_locked_key_delivers(secure: Secure) -> None:
    certificate, key = secure.authority.issue("service", KEY_PASSWORD)
    given: dict[str, Any] = {
        "bootstrap": f"localhost:{secure.broker.ssl_port}",
        "topic": TOPIC,
        "service": "s",
        "linger_ms": 5,
        "kafka_security": "ssl",
        "kafka_ca_file": secure.authority.ca_file,
        "kafka_cert_file": certificate,
        "kafka_key_file": key,
    }
    with Telemetry(**given, kafka_key_password=KEY_PASSWORD) as telemetry:
        emit(telemetry, "certificate")
        assert telemetry.flush(30), telemetry.stats().last_error
    assert delivered(secure, "certificate") == 1
    with Telemetry(**given, kafka_key_password="not-the-password", exit_timeout_s=0) as telemetry:
        error = failure_of(telemetry)
    assert "TOKENTIDE_KAFKA_CERT_FILE" in error
    assert "TOKENTIDE_KAFKA_KEY_PASSWORD" in error
    assert "not-the-password" not in error


def test_captured_content_arrives_on_its_own_topic_over_the_same_login(secure: Secure) -> None:
    given = secure.settings("plain", capture_content="all")
    with Telemetry(**given) as telemetry:
        with telemetry.request(provider="openai", feature="content") as call:
            call.record_usage(input_tokens=1, output_tokens=1)
            call.record_content(input="what is it?", output="a test")
        assert telemetry.flush(30), telemetry.stats().last_error
    (record,) = secure.read(CONTENT)
    assert record["event_id"] == call.event_id
    assert record["input"] == [{"role": "user", "text": "what is it?"}]
    assert record["output"] == [{"role": "assistant", "text": "a test"}]


def test_content_without_a_topic_delays_no_event_and_is_counted(secure: Secure) -> None:
    given = secure.settings("plain", capture_content="all", content_topic="this.does.not.exist")
    with Telemetry(**given, exit_timeout_s=1.0) as telemetry:
        with telemetry.request(provider="openai", feature="no-topic") as call:
            call.record_usage(input_tokens=1, output_tokens=1)
            call.record_content(input="text")
        await_condition(lambda: telemetry.stats().delivered == 1)
        assert telemetry.stats().content["queued"] == 1
    stats = telemetry.stats()
    assert stats.content == {"captured": 1, "delivered": 0, "failed": 0, "dropped": 1, "queued": 0}
    assert (stats.emitted, stats.delivered, stats.queued) == (2, 2, 0)


def failure_of(telemetry: Telemetry) -> str:
    """Emit an event and return the error that keeps it from leaving."""
    before_s = time.perf_counter()
    emit(telemetry, "never")
    assert time.perf_counter() - before_s < 0.5
    await_condition(lambda: bool(telemetry.stats().last_error))
    stats = telemetry.stats()
    assert stats.retries >= 1
    assert (stats.delivered, stats.queued, stats.connected) == (0, 1, False)
    return stats.last_error


def await_condition(is_met: Any) -> None:
    deadline_s = time.monotonic() + 30
    while not is_met():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize("sasl", ["plain", "scram-sha-256"])
def test_a_wrong_password_is_named_counted_and_never_shown(
    secure: Secure, sasl: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "wrong-but-still-secret"
    with (
        Telemetry(**secure.settings(sasl, kafka_password=wrong), exit_timeout_s=0) as telemetry,
        caplog.at_level(logging.DEBUG),
    ):
        error = failure_of(telemetry)
    assert "uthentication failed" in error
    for text in (error, caplog.text, repr(telemetry.settings), repr(telemetry.stats())):
        assert wrong not in text
    assert telemetry.stats().dropped == {"closed": 1}
    assert delivered(secure, "never") == 0


def test_a_broker_that_no_trusted_authority_vouches_for_gets_nothing(
    secure: Secure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority.new(tmp_path / "stranger")
    given = secure.settings("plain", kafka_ca_file=stranger.ca_file)
    with Telemetry(**given, exit_timeout_s=0) as telemetry:
        assert "CERTIFICATE_VERIFY_FAILED" in failure_of(telemetry)
    assert "is trusted" not in caplog.text
    with Telemetry(**given, kafka_verify=False) as telemetry:
        emit(telemetry, "unverified")
        assert telemetry.flush(30), telemetry.stats().last_error
    assert "any server is trusted" in caplog.text


def test_a_certificate_for_another_host_is_refused_unless_set_otherwise(secure: Secure) -> None:
    given = secure.settings("plain", bootstrap=f"127.0.0.1:{secure.broker.sasl_port}")
    with Telemetry(**given, exit_timeout_s=0) as telemetry:
        assert "127.0.0.1" in failure_of(telemetry)
    with Telemetry(**given, kafka_check_hostname=False) as telemetry:
        emit(telemetry, "other-host")
        assert telemetry.flush(30), telemetry.stats().last_error


def test_a_provider_that_fails_or_returns_rubbish_is_named(secure: Secure) -> None:
    def failing() -> str:
        raise RuntimeError("a message with the client secret")

    providers: list[tuple[Any, str]] = [
        (failing, "raised RuntimeError"),
        (lambda: None, "gave no token"),
        (lambda: "two\nlines", "gave no token"),
    ]
    for provider, words in providers:
        given = secure.settings("oauthbearer", kafka_token_provider=provider)
        with Telemetry(**given, exit_timeout_s=0) as telemetry:
            error = failure_of(telemetry)
        assert words in error
        assert "client secret" not in error


def test_an_expired_token_is_refused_by_the_broker_and_not_shown(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "CONNECT_TIMEOUT_S", 2.0)
    expired = bearer_token(lifetime_s=-60)
    given = secure.settings("oauthbearer", kafka_token=expired)
    with Telemetry(**given, exit_timeout_s=0) as telemetry:
        error = failure_of(telemetry)
    assert "refused the token" in error
    assert expired not in error


def checked(given: dict[str, Any]) -> tuple[int, str]:
    lines: list[str] = []
    code = check(given, {}, timeout_s=5.0, write=lines.append)
    print("".join(lines))
    return code, "".join(lines)


def test_the_check_tells_how_an_event_came_in_and_where_it_is(secure: Secure) -> None:
    code, printed = checked(secure.settings("scram-sha-512"))
    assert code == 0
    for step in ("settings", "names", "TCP", "TLS", "login", "topic", "send"):
        assert f"  ok    {step:<10}" in printed
    assert "secure.events, partitions: 1" in printed
    assert "partition 0, offset" in printed
    assert PASSWORD not in printed
    event = secure.read()[-1]
    assert (event["type"], event["tags"]) == ("stats", {"tokentide.check": "true"})
    EVENT_ADAPTER.validate_python(event)


def test_the_check_names_the_step_that_failed_and_what_to_change(
    secure: Secure, tmp_path: Path
) -> None:
    stranger = Authority.new(tmp_path / "stranger")
    by_ip = f"127.0.0.1:{secure.broker.sasl_port}"
    mutual = f"localhost:{secure.broker.ssl_port}"
    no_login = {"kafka_sasl": None, "kafka_username": None, "kafka_password": None}
    wrong: list[tuple[dict[str, Any], int, str, str]] = [
        ({"kafka_password": "not-it"}, 3, "login", "TOKENTIDE_KAFKA_PASSWORD"),
        ({"kafka_ca_file": stranger.ca_file}, 3, "TLS", "TOKENTIDE_KAFKA_CA_FILE"),
        ({"bootstrap": by_ip}, 3, "TLS", "TOKENTIDE_KAFKA_CHECK_HOSTNAME"),
        ({"bootstrap": secure.broker.bootstrap}, 3, "TLS", "TOKENTIDE_KAFKA_SECURITY"),
        ({"kafka_security": None, **no_login}, 3, "Kafka", "TOKENTIDE_KAFKA_SECURITY"),
        (
            {"bootstrap": mutual, "kafka_security": "ssl", **no_login},
            3,
            "Kafka",
            "TOKENTIDE_KAFKA_CERT_FILE",
        ),
        ({"topic": "this.does.not.exist"}, 1, "topic", "'this.does.not.exist'"),
    ]
    for change, expected, step, remedy in wrong:
        code, printed = checked(secure.settings("plain", **change))
        assert (code, f"  FAIL  {step:<10}" in printed) == (expected, True), printed
        assert remedy in printed.splitlines()[-1], printed
        assert "not-it" not in printed
