"""Start what the deployments of this project start, beside a broker and a ClickHouse.

A process runs by its entry as it stands; only addresses, secrets and files are put in the place of
those that the entry names. Where it runs it may be another user, or unable to write anything.
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
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pytest

from tests.deploy.containers import Container
from tokentide import Telemetry
from tokentide_jobs.io.clickhouse.client import ClickHouse

BIN = Path(sys.executable).parent
UNPRIVILEGED_ID = 65534

AS_UNPRIVILEGED = (
    # A private interpreter below /root must stay readable; everything else is what a user has.
    "setpriv", f"--reuid={UNPRIVILEGED_ID}", f"--regid={UNPRIVILEGED_ID}", "--clear-groups",
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
    """A broker and a ClickHouse with no data directory known to the place."""

    kafka: str
    clickhouse_url: str

    def requests_of(self, service: str, database: str = "tokentide") -> int:
        with closing(ClickHouse(self.clickhouse_url, database)) as store:
            ((requests,),) = store.rows(
                f"SELECT count() FROM {database}.raw_requests WHERE service = {{service:String}}",
                {"service": service},
            )
        return int(requests)

    def rows(self, database: str = "tokentide") -> int:
        """Count the requests of all services."""
        with closing(ClickHouse(self.clickhouse_url, database)) as store:
            ((requests,),) = store.rows(f"SELECT count() FROM {database}.raw_requests")
        return int(requests)

    @contextmanager
    def without_table(self, database: str, table: str) -> Iterator[None]:
        """Take a table away, as a person might by mistake, and put it back."""
        away = f"{table}_away"
        with clickhouse_connect.get_client(dsn=self.clickhouse_url) as admin:
            admin.command(f"RENAME TABLE {database}.{table} TO {database}.{away}")
            try:
                yield
            finally:
                admin.command(f"RENAME TABLE {database}.{away} TO {database}.{table}")


@dataclass(frozen=True)
class Place:
    """Where entries are started: servers, a directory of theirs, an address, how confined."""

    servers: Servers
    directory: Path
    address: str
    port: int
    confined: tuple[str, ...] = ()
    database: str = "tokentide"

    def command(self, container: Container) -> list[str]:
        """Return the command of an entry; the embedded engine has no roles."""
        words = [word for word in container.command if word != "--roles"]
        if "--http-port" in words:
            words[words.index("--http-port") + 1] = str(self.port)
        return [*self.confined, *words]

    def environment(self, container: Container) -> dict[str, str]:
        """Return what an entry is given, with the addresses, secrets and files that are here."""
        url, given = urlsplit(self.servers.clickhouse_url), dict(container.environment)
        files = {**container.files, **dict.fromkeys(container.secrets, unquote(url.password or ""))}
        paths = {}
        for number, (path, text) in enumerate(files.items()):
            paths[path] = self.directory / f"file-{number}"
            paths[path].write_text(text + "\n")
            paths[path].chmod(0o644)
        here = {
            "TOKENTIDE_KAFKA_BOOTSTRAP": self.servers.kafka,
            "TOKENTIDE_CLICKHOUSE_URL": f"http://{url.username}@{url.hostname}:{url.port}",
            "TOKENTIDE_HTTP_HOST": self.address,
            "TOKENTIDE_DATABASE": self.database,
        }
        for name, value in given.items():
            if name.endswith("_FILE"):
                given[name] = str(paths[value])  # what it names must be mounted
            else:
                given[name] = here[name]
        return environment(**given)

    def run(self, container: Container) -> None:
        """Run to its end what runs once."""
        done = subprocess.run(
            self.command(container),
            cwd=self.directory,
            env=self.environment(container),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def started(self, container: Container) -> Iterator[Worker]:
        """Run a worker; what is left of it afterwards is killed."""
        process = subprocess.Popen(
            self.command(container),
            cwd=self.directory,
            env=self.environment(container),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with ended(process):
            yield Worker(process, self.address, self.port)

    def is_healthy(self, container: Container) -> None:
        """Run the health check of an entry."""
        line = replaced(
            shlex.join(container.check), {"127.0.0.1:6066": f"{self.address}:{self.port}"}
        )
        subprocess.run(
            [*self.confined, *shlex.split(line)],
            check=True,
            timeout=60,
            cwd=self.directory,
            env=self.environment(container),
        )


@dataclass(frozen=True)
class Worker:
    """A worker that was started, and where its page is."""

    process: subprocess.Popen[str]
    address: str
    port: int

    def status(self, path: str, host: str | None = None) -> int:
        """Ask its page as a probe does; 0: the port is closed."""
        url = f"http://{self.address}:{self.port}{path}"
        asked = urllib.request.Request(url, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(asked, timeout=10) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as exc:
            return exc.code
        except (urllib.error.URLError, ConnectionError):
            return 0

    def until(self, path: str, status: int, host: str | None = None) -> None:
        """Wait until its page answers so."""
        give_up_at = time.monotonic() + 180
        while (seen := self.status(path, host)) != status:
            assert self.process.poll() is None, self.process.communicate()[1]
            if time.monotonic() > give_up_at:
                os.killpg(self.process.pid, signal.SIGKILL)
                pytest.fail(f"{path} answers {seen} after 180 s: {self.process.communicate()[1]}")
            time.sleep(0.1)

    def stop(self, within_s: float = 60) -> None:
        """End it as its supervisor does, and see that it ended well."""
        os.killpg(self.process.pid, signal.SIGTERM)
        _, log = self.process.communicate(timeout=within_s)
        assert re.search(r'"worker_stopped".*"exit_code": ?0', log), log


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill what is left of a process at the end."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def send_event(servers: Servers) -> str:
    """Send an event, and return its service."""
    service = f"production-{uuid.uuid4().hex[:8]}"
    with (
        Telemetry(service=service, bootstrap=servers.kafka) as telemetry,
        telemetry.request(provider="openai", request_model="gpt-5-mini") as call,
    ):
        call.record_usage(input_tokens=1, output_tokens=1)
    return service


def assert_stores(servers: Servers, database: str = "tokentide") -> None:
    """Send an event and find its row."""
    service = send_event(servers)
    give_up_at = time.monotonic() + 120
    while servers.requests_of(service, database) == 0:
        assert time.monotonic() < give_up_at, "no row within 120 s"
        time.sleep(0.1)


def assert_sends(servers: Servers, sender: Worker) -> None:
    """See rows arrive of what sends until it is ended, and end it as `docker stop` does."""
    before, give_up_at = servers.rows(), time.monotonic() + 180
    while servers.rows() < before + 20:
        assert sender.process.poll() is None, sender.process.communicate()[1]
        assert time.monotonic() < give_up_at, "no rows within 180 s"
        time.sleep(0.2)
    os.killpg(sender.process.pid, signal.SIGTERM)
    _, log = sender.process.communicate(timeout=60)
    assert "Traceback" not in log, log


def environment(**variables: str) -> dict[str, str]:
    """Return a shell's own variables, and no setting of the user who runs the tests."""
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent", **variables}


def replaced(text: str, values: Mapping[str, str]) -> str:
    for example, value in values.items():
        assert example in text, f"{example!r} is not in {text!r}"
        text = text.replace(example, value)
    return text
