"""One test event to Kafka, step by step: what a deployment asks before it trusts the producer.

Every step reports what it found or, when it fails, what to change. Invariant: what connects and
sends here is the producer's own code, so that a passed check is valid for the producer. The event
is of type `stats`, which costs nothing and counts nowhere as a call; no secret is printed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import orjson

from tokentide._contract import SCHEMA_VERSION
from tokentide._version import __version__
from tokentide.check.remedies import remedy_for
from tokentide.delivery.counters import describe
from tokentide.delivery.framing import Frame
from tokentide.delivery.kafka import KafkaFrameSender
from tokentide.delivery.quiet import quiet
from tokentide.ids import EventIds
from tokentide.settings import Settings, SettingsError
from tokentide.settings.environment import unknown_variables
from tokentide.settings.security import tls_context, uses_tls, warnings_for, without_secrets

EXIT_OK = 0
EXIT_REFUSED = 1
"""Kafka answers but does not take the event: no such topic, no permission."""
EXIT_SETTINGS = 2
EXIT_UNREACHABLE = 3
"""No connection: name, port, certificate or login."""
EXIT_INTERNAL = 4

TOPIC_TIMEOUT_S = 3.0
"""Brokers answer at once; aiokafka goes on asking, in case the topic is just being made."""

_NAME_WIDTH = 10


class StepFailed(Exception):
    """A step failed; carries what happened, what to do and the exit code."""

    def __init__(self, step: str, what: str, remedy: str, code: int) -> None:
        super().__init__(what)
        self.step = step
        self.remedy = remedy
        self.code = code


@dataclass(frozen=True, slots=True)
class Report:
    """Keeps the steps, and writes them, one line each, as they happen."""

    write: Callable[[str], object]
    steps: list[dict[str, object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def step(self, name: str, found: str, began_s: float) -> None:
        """Say that a step succeeded."""
        took_ms = (time.perf_counter() - began_s) * 1000
        self.steps.append({"step": name, "ok": True, "found": found, "took_ms": round(took_ms, 1)})
        self.write(f"  ok    {name:<{_NAME_WIDTH}} {found}  ({took_ms:.0f} ms)\n")

    def note(self, text: str) -> None:
        """Say something to think about that is no failure."""
        self.notes.append(text)
        self.write(f"  note  {'':<{_NAME_WIDTH}} {text}\n")

    def failed(self, error: StepFailed) -> None:
        """Say that a step failed, and the remedy."""
        failure = {"ok": False, "found": str(error), "remedy": error.remedy}
        self.steps.append({"step": error.step, **failure})
        self.write(f"  FAIL  {error.step:<{_NAME_WIDTH}} {error}\n")
        self.write(f"        {'remedy':<{_NAME_WIDTH}} {error.remedy}\n")

    def to_json(self, code: int) -> str:
        """Return one line with all of it."""
        found = {"ok": code == EXIT_OK, "exit_code": code, "steps": self.steps, "notes": self.notes}
        return orjson.dumps(found).decode() + "\n"


def check(
    given: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
    *,
    timeout_s: float = 15.0,
    as_json: bool = False,
    needs: Sequence[str] = (),
    write: Callable[[str], object] = sys.stdout.write,
) -> int:
    """Send one test event and say what happened at every step.

    Args:
        given: Settings that beat the environment, by field name.
        env: Environment to read; the process's own when absent.
        timeout_s: Longest wait for each step.
        as_json: Write one JSON object at the end instead of lines.
        needs: What a service needs besides, such as a variable to export. Until it has that, its
            producer does not work, and the check does not say that it does.
        write: Takes the lines.

    Returns:
        0 acknowledged, 1 Kafka refuses the event, 2 a setting, 3 no connection, 4 internal error.
    """
    report = Report((lambda _text: None) if as_json else write)
    code = _run(report, given, os.environ if env is None else env, timeout_s)
    if code == EXIT_OK:
        for text in needs:
            report.note(text)
        end = "The producer works with these settings."
        if needs:
            end = "Kafka takes the event. A service sends there once it has what the note says."
        report.write(f"\n{end}\n")
    if as_json:
        write(report.to_json(code))
    return code


def _run(
    report: Report, given: Mapping[str, object] | None, env: Mapping[str, str], timeout_s: float
) -> int:
    settings: Settings | None = None
    try:
        settings = _settings(report, given, env)
        _names(report, settings)
        _tcp(report, settings, timeout_s)
        _tls(report, settings, timeout_s)
        with quiet():
            asyncio.run(_Kafka(report, settings, timeout_s).check())
    except StepFailed as exc:
        report.failed(exc)
        return exc.code
    except Exception as exc:
        what = describe(exc) if settings is None else without_secrets(settings, describe(exc))
        remedy = "an error of the producer itself: report it with this line"
        report.failed(StepFailed("check", what, remedy, EXIT_INTERNAL))
        return EXIT_INTERNAL
    return EXIT_OK


def _settings(
    report: Report, given: Mapping[str, object] | None, env: Mapping[str, str]
) -> Settings:
    began_s = time.perf_counter()
    try:
        settings = Settings.load(given, env)
    except SettingsError as exc:
        raise StepFailed("settings", str(exc), "change this setting", EXIT_SETTINGS) from None
    login = ""
    if settings.kafka_sasl != "none":
        user = f" as {settings.kafka_username}" if settings.kafka_username else ""
        login = f", login {settings.kafka_sasl}{user}"
    report.step(
        "settings",
        f"service {settings.service}, {settings.kafka_security} to {settings.bootstrap}{login}",
        began_s,
    )
    for declared in fields(Settings):
        value = getattr(settings, declared.name)
        if value != declared.default and declared.name not in ("service", "bootstrap"):
            shown = "(set, not shown)" if declared.metadata.get("secret") else _shown(value)
            report.write(f"        {'':<{_NAME_WIDTH}} {declared.metadata['env']} = {shown}\n")
    for variable, nearest in unknown_variables(env, Settings.variables().values()):
        meant = f"; {nearest} was meant?" if nearest else ""
        report.note(f"{variable} is no setting and does nothing{meant}")
    for warning in warnings_for(settings):
        report.note(warning)
    if settings.disabled:
        report.note("the producer is disabled and would send nothing; checking Kafka all the same")
    return settings


def _shown(value: object) -> str:
    if callable(value):
        return f"{getattr(value, '__module__', '?')}:{getattr(value, '__qualname__', '?')}"
    return str(value)


def _addresses(settings: Settings) -> list[tuple[str, int]]:
    pairs = (address.rpartition(":") for address in settings.bootstrap.split(","))
    return [(host.strip("[]"), int(port)) for host, _, port in pairs]


def _first_that_works(
    step: str, report: Report, settings: Settings, attempt: Callable[[str, int], str]
) -> str:
    """Try each broker; one that works is enough, as it is for the producer."""
    found: list[str] = []
    errors: list[tuple[str, Exception]] = []
    for host, port in _addresses(settings):
        try:
            found.append(attempt(host, port))
        except (OSError, ValueError) as exc:
            errors.append((f"{host}:{port}", exc))
    if not found:
        address, error = errors[0]
        what = without_secrets(settings, f"{address}: {describe(error)}")
        raise StepFailed(step, what, remedy_for(error, settings), EXIT_UNREACHABLE)
    for address, error in errors:
        report.note(f"{address} does not work: {describe(error)}")
    return ", ".join(dict.fromkeys(found))


def _names(report: Report, settings: Settings) -> None:
    began_s = time.perf_counter()

    def look_up(host: str, port: int) -> str:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        numbers = dict.fromkeys(str(info[4][0]) for info in infos)
        return host if host in numbers else f"{host} is {' and '.join(numbers)}"

    report.step("names", _first_that_works("names", report, settings, look_up), began_s)


def _tcp(report: Report, settings: Settings, timeout_s: float) -> None:
    began_s = time.perf_counter()

    def connect(host: str, port: int) -> str:
        with socket.create_connection((host, port), timeout_s):
            return f"{host}:{port} accepts connections"

    report.step("TCP", _first_that_works("TCP", report, settings, connect), began_s)


def _tls(report: Report, settings: Settings, timeout_s: float) -> None:
    if not uses_tls(settings):
        return
    began_s = time.perf_counter()
    try:
        context = tls_context(settings)
    except ConnectionError as exc:
        raise StepFailed("TLS", str(exc), "give files that can be used", EXIT_SETTINGS) from None

    def shake_hands(host: str, port: int) -> str:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            certificate = encrypted.getpeercert() or {}
            until = certificate.get("notAfter")
            return f"{encrypted.version()}" + (
                f", certificate valid until {until}" if until else ""
            )

    report.step("TLS", _first_that_works("TLS", report, settings, shake_hands), began_s)


class _Kafka:
    """The steps that need Kafka's protocol, over one connection of the producer's own code."""

    def __init__(self, report: Report, settings: Settings, timeout_s: float) -> None:
        self._report = report
        self._settings = settings
        self._timeout_s = timeout_s
        self._ids = EventIds()
        self._producer_id = self._ids.new(time.time_ns())

    async def check(self) -> None:
        failures: list[str] = []
        sender = KafkaFrameSender(self._settings, self._producer_id, failures.append)
        try:
            await self._connect(sender)
            await self._topic(sender)
            await self._send(sender)
        finally:
            await sender.close()

    async def _connect(self, sender: KafkaFrameSender) -> None:
        began_s = time.perf_counter()
        name = "login" if self._settings.kafka_sasl != "none" else "Kafka"
        try:
            await asyncio.wait_for(sender.connect(), self._timeout_s)
        except Exception as exc:
            raise self._failure(name, exc, EXIT_UNREACHABLE) from None
        self._report.step(name, f"brokers of the cluster: {sender.brokers}", began_s)

    async def _topic(self, sender: KafkaFrameSender) -> None:
        began_s = time.perf_counter()
        topic = self._settings.topic
        try:
            limit_s = min(self._timeout_s, TOPIC_TIMEOUT_S)
            partitions = await asyncio.wait_for(sender.partitions(topic), limit_s)
        except TimeoutError:
            missing = f"UnknownTopicOrPartition: the brokers know no topic {topic!r}"
            raise self._failure("topic", LookupError(missing), EXIT_REFUSED) from None
        except Exception as exc:
            raise self._failure("topic", exc, EXIT_REFUSED) from None
        self._report.step("topic", f"{topic}, partitions: {len(partitions)}", began_s)

    async def _send(self, sender: KafkaFrameSender) -> None:
        began_s = time.perf_counter()
        try:
            frame = Frame(0, self._event(), 1)
            await asyncio.wait_for(sender.send([frame]), self._timeout_s)
        except Exception as exc:
            raise self._failure("send", exc, EXIT_REFUSED) from None
        assert sender.acknowledged is not None
        _topic, partition, offset = sender.acknowledged
        where = f"one event acknowledged at partition {partition}, offset {offset}"
        self._report.step("send", where, began_s)

    def _event(self) -> bytes:
        settings, now_ns = self._settings, time.time_ns()
        event = {
            "type": "stats",
            "schema_version": SCHEMA_VERSION,
            "event_id": self._ids.new(now_ns),
            "started_at_us": now_ns // 1000,
            "service": settings.service,
            "environment": settings.environment or None,
            "tenant": settings.tenant or None,
            "sdk_name": "tokentide",
            "sdk_version": __version__,
            "producer_id": self._producer_id,
            "emitted": 1,
            "dropped": 0,
            "tags": {"tokentide.check": "true"},
        }
        return orjson.dumps(event)

    def _failure(self, step: str, error: Exception, code: int) -> StepFailed:
        what = without_secrets(self._settings, describe(error))
        return StepFailed(step, what, remedy_for(error, self._settings), code)
