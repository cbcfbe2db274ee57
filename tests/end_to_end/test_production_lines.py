"""The lines that the docs give for Kafka and ClickHouse of one's own, run as they stand.

docs/operations.md is run in an empty directory; the commands and the environment of
docker-compose.yml as another user without a home, and where nothing at all can be written. Only
addresses are put in place of the examples'. Broker and ClickHouse are processes of their own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.places import ROOT
from tokentide import Telemetry
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.embedded.processes.ports import choose_port
from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
NOBODY = 65534

AS_NOBODY = (
    # A private interpreter below /root must stay readable; everything else is what a user has.
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--",
)  # fmt: skip

WITHOUT_WRITING = (
    "unshare", "--mount", "--propagation=private", "sh", "-euc",
    # Devices and the kernel's own trees stay, as they do in a container with `read_only: true`.
    "grep -E '^/dev/' /proc/self/mounts | cut -d ' ' -f 2 | sort -u"
    ' | while read -r place; do mount -o remount,bind,ro "$place"; done;'
    ' if touch here 2>/dev/null; then echo "still writable" >&2; exit 99; fi; exec "$@"', "sh",
)  # fmt: skip

needs_root = pytest.mark.skipif(
    sys.platform != "linux"
    or os.geteuid() != 0
    or shutil.which("setpriv") is None
    or shutil.which("unshare") is None,
    reason="only root of a Linux can become another user and take the disk away",
)


@dataclass(frozen=True)
class Servers:
    """A broker and a ClickHouse that nobody's data directory belongs to."""

    kafka: str
    clickhouse_url: str

    def requests_of(self, service: str) -> int:
        with closing(ClickHouse(self.clickhouse_url, "tokentide")) as store:
            ((requests,),) = store.rows(
                "SELECT count() FROM tokentide.raw_requests WHERE service = {service:String}",
                {"service": service},
            )
        return int(requests)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    broker = choose_broker(None, tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        with ClickHouseProcess.start(tmp_path_factory.mktemp("clickhouse")) as server:
            yield Servers(broker.bootstrap, server.dsn)
    finally:
        broker.stop()


def environment(**variables: str) -> dict[str, str]:
    """A shell's own variables, and no setting of whoever runs the tests."""
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent", **variables}


def replaced(text: str, values: dict[str, str]) -> str:
    for example, value in values.items():
        assert example in text, f"{example!r} is not in {text!r}"
        text = text.replace(example, value)
    return text


def assert_ingests(
    servers: Servers,
    command: list[str],
    port: int,
    once_ready: Callable[[], None] = lambda: None,
    **how: Any,
) -> None:
    """Start a documented worker, send an event, find its row, stop the worker."""
    worker = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, **how
    )
    try:
        await_ready(worker, port)
        once_ready()
        service = f"production-{uuid.uuid4().hex[:8]}"
        with (
            Telemetry(service=service, bootstrap=servers.kafka) as telemetry,
            telemetry.request(provider="openai", request_model="gpt-5-mini") as call,
        ):
            call.record_usage(input_tokens=1, output_tokens=1)
        give_up_at = time.monotonic() + 120
        while servers.requests_of(service) == 0:
            assert time.monotonic() < give_up_at, "no row within 120 s"
            time.sleep(0.1)
        stop(worker)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()


def assert_detects(
    command: list[str], port: int, once_ready: Callable[[], None], **how: Any
) -> None:
    """Start a documented detect worker, see it ready, stop it."""
    worker = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, **how
    )
    try:
        await_ready(worker, port)
        once_ready()
        stop(worker)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()


def stop(worker: subprocess.Popen[str]) -> None:
    os.killpg(worker.pid, signal.SIGTERM)
    _, log = worker.communicate(timeout=60)
    assert re.search(r'"worker_stopped".*"exit_code": ?0', log), log


def await_ready(worker: subprocess.Popen[str], port: int) -> None:
    give_up_at = time.monotonic() + 180
    while True:
        assert worker.poll() is None, worker.communicate()[1]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > give_up_at:
                os.killpg(worker.pid, signal.SIGKILL)
                pytest.fail(f"not ready within 180 s: {worker.communicate()[1]}")
            time.sleep(0.1)


def test_the_lines_of_operations_run_in_an_empty_directory(
    servers: Servers, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("\n## Against Kafka and ClickHouse of your own\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    port = choose_port(0, "http")
    lines = replaced(
        found[1],
        {
            "kafka-1:9092,kafka-2:9092": servers.kafka,
            "https://admin:password@clickhouse:8443": servers.clickhouse_url,
            "https://ingest:password@clickhouse:8443": servers.clickhouse_url,
            "--http-port 6066": f"--http-port {port}",
        },
    )
    empty = tmp_path / "empty"
    empty.mkdir()

    assert_ingests(servers, ["bash", "-euc", lines], port, cwd=empty, env=environment())

    assert list(empty.iterdir()) == []


@needs_root
@pytest.mark.parametrize("confined", [AS_NOBODY, WITHOUT_WRITING], ids=["nobody", "read-only"])
def test_the_services_of_compose_run_where_they_can_write_nothing(
    servers: Servers, tmp_path: Path, confined: tuple[str, ...]
) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    port = choose_port(0, "http")
    url = urlsplit(servers.clickhouse_url)
    secret = tmp_path / "password"
    secret.write_text(unquote(url.password or "") + "\n")
    secret.chmod(0o644)
    # The image's working directory belongs to root.
    tmp_path.chmod(0o755)

    def arguments(name: str) -> dict[str, Any]:
        given = services[name]["environment"]
        own = {"TOKENTIDE_KAFKA_BOOTSTRAP": ("kafka:29092", servers.kafka)}
        if "TOKENTIDE_CLICKHOUSE_URL" in given:
            account = urlsplit(given["TOKENTIDE_CLICKHOUSE_URL"]).username
            own["TOKENTIDE_CLICKHOUSE_URL"] = (
                f"http://{account}@clickhouse:8123",
                f"http://{url.username}@{url.hostname}:{url.port}",
            )
            (secret_name,) = services[name]["secrets"]
            own["TOKENTIDE_CLICKHOUSE_PASSWORD_FILE"] = (
                f"/run/secrets/{secret_name}",
                str(secret),
            )
        if "TOKENTIDE_HTTP_HOST" in given:  # tests listen on no other address
            own["TOKENTIDE_HTTP_HOST"] = ("0.0.0.0", "127.0.0.1")
        assert given.keys() <= own.keys()
        variables = {key: replaced(value, dict([own[key]])) for key, value in given.items()}
        return {"cwd": tmp_path, "env": environment(**variables)}

    def command(name: str, given: str, wanted: str) -> list[str]:
        line = replaced(shlex.join(services[name]["command"]), {given: wanted})
        return [*confined, *shlex.split(line)]

    for name, line in (
        ("topics", command("topics", "topics", "topics")),
        ("migrate", command("migrate", " --roles", "")),  # the embedded engine has no roles
    ):
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=180, check=False, **arguments(name)
        )
        assert done.returncode == 0, done.stderr

    def is_healthy(name: str) -> None:
        kind, *check = services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        line = [replaced(part, {"6066": str(port)}) if "6066" in part else part for part in check]
        assert str(port) in " ".join(line)
        subprocess.run([*confined, *line], check=True, timeout=60, **arguments(name))

    ingest, detect = (command(name, "6066", str(port)) for name in ("ingest", "detect"))
    assert_ingests(
        servers, ingest, port, once_ready=lambda: is_healthy("ingest"), **arguments("ingest")
    )
    assert_detects(detect, port, once_ready=lambda: is_healthy("detect"), **arguments("detect"))
