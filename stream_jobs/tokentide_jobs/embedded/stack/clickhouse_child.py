"""The embedded ClickHouse as one child of the stack: its own process, its own data directory."""

from __future__ import annotations

import http.client
import sys
import time
from contextlib import closing
from pathlib import Path

from tokentide_jobs.embedded.clickhouse.access.password import OWNER_NAME, read_password
from tokentide_jobs.embedded.processes.child import ChildProcess, ChildRecord
from tokentide_jobs.embedded.processes.ports import LOOPBACK, choose_port
from tokentide_jobs.embedded.stack.insert_probe import insert_problem
from tokentide_jobs.errors import StackError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.settings.stack_file import CLICKHOUSE_DIRECTORY
from tokentide_jobs.urls import with_credentials

__all__ = ["ClickHouseChild"]

_START_DEADLINE_S = 60.0
_PROBE_TIMEOUT_S = 10.0


class ClickHouseChild:
    """Runs `python -m tokentide_jobs.embedded.clickhouse` and waits for its `/ping`."""

    survives_restart = True
    fills_disk = False  # it refuses inserts by itself
    user = OWNER_NAME

    def __init__(self, data_dir: Path, *, port: int, min_free_bytes: int = 0) -> None:
        self._home = data_dir.absolute() / CLICKHOUSE_DIRECTORY
        self._log_file = data_dir.absolute() / "logs" / "clickhouse.log"
        self._wanted_port = port
        self._min_free_bytes = min_free_bytes
        self._port = port
        self._child: ChildProcess | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, valid once started."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def password(self) -> str:
        """Of the account `default`, valid once started."""
        return read_password(self._home)

    @property
    def port(self) -> int:
        """Valid once started."""
        return self._port

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._child is not None and self._child.pid is not None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._child is None else self._child.exit_code

    def start(self) -> ChildRecord:
        """Start it and wait until it answers."""
        self.begin()
        return self.finish()

    def begin(self) -> None:
        """Start the process and return at once; `finish` waits. Keeps its port when repeated."""
        self._port = choose_port(self._wanted_port or self._port, "--clickhouse-port")
        module = "tokentide_jobs.embedded.clickhouse"
        command = [sys.executable, "-m", module, "--data-dir", str(self._home)]
        self._child = ChildProcess(
            "clickhouse",
            [
                *command,
                *("--port", str(self._port)),
                *("--min-free-bytes", str(self._min_free_bytes)),
            ],
            log_path=self._log_file,
        )
        self._child.start()

    def finish(self) -> ChildRecord:
        """Wait until it answers.

        Raises:
            StackError: It ended or is not ready in time; the message shows the end of its log.
        """
        assert self._child is not None
        deadline = time.monotonic() + _START_DEADLINE_S
        problem = "it does not answer"
        while time.monotonic() < deadline and self._child.exit_code is None:
            if self._answers():
                problem, record = self.problem(), self._child.record()
                if not problem and record is not None:
                    return record
            time.sleep(0.05)
        self._child.kill()
        raise StackError(
            f"the embedded ClickHouse did not start ({problem}; exit code "
            f"{self._child.exit_code}, log {self._log_file}): {self._child.log_tail()}"
        )

    def problem(self) -> str:
        """Store a row; why that fails, or "" when it does not."""
        dsn = with_credentials(self.url, self.user, self.password)
        with closing(ClickHouse(dsn, "default", timeout_s=_PROBE_TIMEOUT_S)) as store:
            return insert_problem(store)

    def stop(self, deadline_s: float) -> None:
        """Stop it in order, by force once the deadline has passed."""
        if self._child is not None:
            self._child.stop(deadline_s)

    def kill(self) -> None:
        """End it without asking, as a crash would."""
        if self._child is not None:
            self._child.kill()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=1.0)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()
