"""`check-producer`: every step, and what it says when one fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tokentide.check import check, steps
from tokentide.check.remedies import remedy_for
from tokentide.settings import Settings


def run(given: dict[str, object], env: dict[str, str] | None = None) -> tuple[int, str]:
    lines: list[str] = []
    code = check(given, env or {}, timeout_s=0.3, write=lines.append)
    return code, "".join(lines)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield a port of which the system accepts connections, and where no answer ever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_wrong_setting_is_named_and_exits_with_2() -> None:
    code, printed = run({}, {"TOKENTIDE_LINGER_MS": "soon"})
    assert code == 2
    assert "FAIL  settings" in printed
    assert "TOKENTIDE_LINGER_MS='soon'" in printed


def test_a_name_that_is_unknown_exits_with_3_and_says_where_to_look() -> None:
    code, printed = run({"bootstrap": "nowhere.invalid:9092"})
    assert code == 3
    assert "ok    settings" in printed
    assert "FAIL  names      nowhere.invalid:9092" in printed
    assert "TOKENTIDE_KAFKA_BOOTSTRAP" in printed


def test_a_closed_port_exits_with_3() -> None:
    code, printed = run({"bootstrap": "127.0.0.1:9"})
    assert code == 3
    assert "FAIL  TCP        127.0.0.1:9" in printed
    assert "firewall" in printed


def test_one_broker_of_several_is_enough_and_the_others_are_named(silent_port: int) -> None:
    _code, printed = run(
        {"bootstrap": f"127.0.0.1:9,127.0.0.1:{silent_port}", "kafka_security": "ssl"}
    )
    assert f"ok    TCP        127.0.0.1:{silent_port} accepts" in printed
    assert "note             127.0.0.1:9 does not work" in printed
    assert "FAIL  TLS" in printed


def test_with_json_there_is_one_object_and_no_line_beside_it() -> None:
    lines: list[str] = []
    given = {"bootstrap": "127.0.0.1:9"}
    env = {"TOKENTIDE_KAFKA_SAASL": "plain"}
    code = check(given, env, timeout_s=0.3, as_json=True, write=lines.append)
    [line] = lines
    answer = json.loads(line)
    assert (answer["ok"], answer["exit_code"]) == (False, code)
    assert [step["ok"] for step in answer["steps"]] == [True, True, False]
    assert "TOKENTIDE_KAFKA_SAASL is no setting" in answer["notes"][0]


def test_what_is_set_is_shown_and_secrets_are_not() -> None:
    env = {
        "TOKENTIDE_KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "TOKENTIDE_KAFKA_SECURITY": "sasl_plaintext",
        "TOKENTIDE_KAFKA_SASL": "plain",
        "TOKENTIDE_KAFKA_USERNAME": "alice",
        "TOKENTIDE_KAFKA_PASSWORD": "open-sesame",
        "TOKENTIDE_USER_HASH_KEY": "0123456789abcdef0123456789abcdef",
        "TOKENTIDE_KAFKA_SAASL": "plain",
        "TOKENTIDE_PRICES_FILE": "prices.yaml",
    }
    code, printed = run({}, env)
    assert code == 3
    assert "open-sesame" not in printed
    assert "0123456789abcdef" not in printed
    assert "TOKENTIDE_KAFKA_PASSWORD = (set, not shown)" in printed
    assert "login plain as alice" in printed
    assert "TOKENTIDE_KAFKA_SAASL is no setting and does nothing; TOKENTIDE_KAFKA_SASL" in printed
    assert "TOKENTIDE_PRICES_FILE" not in printed
    assert "unencrypted" in printed


def test_errors_have_a_remedy_that_names_a_setting_or_a_place() -> None:
    settings = Settings.load({"topic": "events"}, {})
    for text, words in [
        ("SaslAuthenticationFailed: x", "does not accept"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] Hostname mismatch", "TOKENTIDE_KAFKA_CHECK_HOSTNAME"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "TOKENTIDE_KAFKA_CA_FILE"),
        ("[SSL: WRONG_VERSION_NUMBER]", "TLS"),
        ("UnknownTopicOrPartitionError: x", "'events'"),
        ("TopicAuthorizationFailedError: x", "'events'"),
        ("Unable to bootstrap from [...]", "TOKENTIDE_KAFKA_SECURITY"),
        ("something new", "broker's own log"),
    ]:
        assert words in remedy_for(ConnectionError(text), settings)


@pytest.mark.integration
def test_the_bare_sdk_offers_the_check_and_the_hashes_of_a_user() -> None:
    code = (
        "import sys; sys.modules['click'] = sys.modules['pydantic'] = None\n"
        "from tokentide.__main__ import main\n"
        "assert main(['check', '--bootstrap', '127.0.0.1:9']) == 3\n"
        "import os; os.environ['TOKENTIDE_USER_HASH_KEY'] = 'b:' + 'y' * 16 + ',a:' + 'x' * 16\n"
        "assert main(['hash-user', 'ann']) == 0\n"
        "os.environ['TOKENTIDE_USER_HASH_KEY'] = ''\n"
        "assert main(['hash-user', 'ann']) == 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "FAIL  TCP" in done.stdout
    assert [line[:2] for line in done.stdout.splitlines()[-2:]] == ["b:", "a:"]
    assert "TOKENTIDE_USER_HASH_KEY is not set" in done.stderr


@pytest.mark.integration
@pytest.mark.parametrize("option", ["-u", "-B"])  # written line by line, and at the end
def test_the_program_leaves_no_traceback_when_its_reader_is_gone(option: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as of `python -m tokentide check | head -0`
    command = [sys.executable, option, "-m", "tokentide", "check", "--bootstrap", "127.0.0.1:9"]
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_what_a_service_needs_besides_is_no_proof_that_its_producer_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "_run", lambda *_arguments: steps.EXIT_OK)
    printed: list[str] = []
    assert check(env={}, needs=["export THIS=1"], write=printed.append) == 0
    assert "export THIS=1" in "".join(printed)
    assert "A service sends there once it has what the note says." in printed[-1]
    assert "works" not in printed[-1]
    assert check(env={}, write=printed.append) == 0
    assert printed[-1] == "\nThe producer works with these settings.\n"
