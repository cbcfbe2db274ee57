"""Apache Kafka on one machine: a KRaft broker that is its own controller, in 200 MB.

Everything below `<data-dir>/kafka`; `log/` outlives restarts, port changes and kill -9. The
controller quorum is static (`controller.quorum.voters`), so its address may change with every
start. What is set to other than Kafka's defaults, and why, stands beside the setting.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
import uuid
from pathlib import Path

from tokentide_jobs.embedded.broker import BrokerKind, Capabilities, Notify
from tokentide_jobs.embedded.kafka_artifacts import class_path, java
from tokentide_jobs.embedded.ports import LOOPBACK, choose_port
from tokentide_jobs.embedded.processes import ChildProcess, ChildRecord
from tokentide_jobs.errors import StackError
from tokentide_jobs.io.kafka_wire import is_serving

__all__ = ["KafkaBroker"]

_START_DEADLINE_S = 60.0
"""Three seconds on an idle machine; the rest is room for recovery and busy continuous builds."""

_PORT_ATTEMPTS = 3
"""A free port may be taken by somebody else between choosing it and binding it."""

_JAVA_OPTIONS = (
    "-Xmx192m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "--enable-native-access=ALL-UNNAMED",  # zstd and snappy load native code
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # Topics come from the registry; a mistyped name is an error and not a new topic.
    "auto.create.topics.enable": "false",
    # One machine, one copy; one partition instead of 50 saves most of the start-up time.
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # After kill -9 the next start has to wait until the controller gives its predecessor up.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    # The default, 128 MiB of heap, is most of what this broker has.
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.cleaner.io.buffer.size": "262144",
    # Retention deletes whole segments: smaller ones leave sooner.
    "log.segment.bytes": "134217728",
    "log.index.size.max.bytes": "1048576",
}


class KafkaBroker:
    """Apache Kafka, started from the Java runtime and the jars that pip and jgo bring."""

    kind: BrokerKind = "kafka"
    capabilities = Capabilities(
        persistent=True,
        idempotent_producer=True,
        transactions=True,
        retention=True,
    )

    survives_restart = True

    def __init__(
        self, data_dir: Path, *, port: int, cache_dir: Path, notify: Notify = lambda _: None
    ) -> None:
        self._home = data_dir.absolute() / "kafka"
        self._log_file = data_dir.absolute() / "logs" / "kafka.log"
        self._cache_dir = cache_dir
        self._wanted_port = port
        self._port = port
        self._notify = notify
        self._child: ChildProcess | None = None
        self._class_path: str | None = None

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._child is None else self._child.exit_code

    def prepare(self) -> None:
        """Have jars and Java at hand; the first time on a machine this downloads 43 MB.

        Raises:
            ArtifactsUnavailable: They can not be had.
        """
        java()
        self._class_path = ":".join(map(str, class_path(self._cache_dir, self._notify)))

    def has_log(self) -> bool:
        """Whether the data directory holds a Kafka log of an earlier start."""
        return (self._home / "log" / "meta.properties").exists()

    def start(self) -> ChildRecord:
        """Start and wait until the broker serves."""
        if self._child is not None and (running := self._child.record()) is not None:
            return running
        if self._class_path is None:
            self.prepare()
        self._clear_temporary_files()
        if not self.has_log():
            self._format()
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            # A broker that is started again keeps its address: its clients know no other.
            self._port = choose_port(self._wanted_port or self._port, "--kafka-port")
            self._write_settings(choose_port(0, "controller port"))
            child = ChildProcess(
                "kafka", self._java("kafka.Kafka", str(self._settings)), log_path=self._log_file
            )
            self._child = child  # from here on `stop` and `kill` of another thread reach it
            child.start()
            if self._await_serving(child) and (record := child.record()) is not None:
                return record
            child.kill()
            collided = "Address already in use" in child.log_tail(50)
            if not (collided and self._wanted_port == 0 and attempt < _PORT_ATTEMPTS):
                break
            self._port = 0
        raise StackError(
            f"Kafka did not start (exit code {child.exit_code}, log {self._log_file}): "
            f"{child.log_tail()}"
        )

    def stop(self, deadline_s: float = 10.0) -> None:
        """Controlled shutdown: the next start need not recover anything."""
        if self._child is not None:
            self._child.stop(deadline_s)

    def kill(self) -> None:
        """End it as a crash would; acknowledged records are in the page cache and survive."""
        if self._child is not None:
            self._child.kill()

    @property
    def _settings(self) -> Path:
        return self._home / "server.properties"

    def _java(self, *arguments: str) -> list[str]:
        assert self._class_path is not None
        # Native codecs unpack themselves here and not in /tmp, which may forbid execution.
        temporary = f"-Djava.io.tmpdir={self._home / 'tmp'}"
        return [str(java()), *_JAVA_OPTIONS, temporary, "-cp", self._class_path, *arguments]

    def _clear_temporary_files(self) -> None:
        temporary = self._home / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)

    def _write_settings(self, controller_port: int) -> None:
        settings = {
            **_SETTINGS,
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
            "listeners": (
                f"PLAINTEXT://{LOOPBACK}:{self._port},CONTROLLER://{LOOPBACK}:{controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self._port}",
            "log.dirs": str(self._home / "log"),
        }
        lines = (f"{name}={_escaped(value)}\n" for name, value in settings.items())
        self._settings.write_text("".join(lines), encoding="utf-8")

    def _format(self) -> None:
        """Give a new directory its cluster id, once."""
        self._write_settings(choose_port(0, "controller port"))
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        done = subprocess.run(
            self._java(*tool, f"--cluster-id={cluster_id}", "--config", str(self._settings)),
            capture_output=True,
            text=True,
            timeout=_START_DEADLINE_S,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"Kafka can not format {self._home / 'log'}: {done.stderr[-1000:]}")

    def _await_serving(self, child: ChildProcess) -> bool:
        give_up_at = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < give_up_at and child.exit_code is None:
            if is_serving(LOOPBACK, self._port):
                return child.exit_code is None
            time.sleep(0.05)
        return False


def _escaped(value: str) -> str:
    """A value in the syntax of Java properties files."""
    return value.replace("\\", "\\\\").encode("ascii", "backslashreplace").decode()
