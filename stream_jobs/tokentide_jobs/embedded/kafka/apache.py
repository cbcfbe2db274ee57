"""Apache Kafka on one machine: a KRaft broker that is its own controller, in 200 MB.

Everything below `<data-dir>/kafka`; `log/` outlives restarts, port changes and kill -9. The
controller quorum is static (`controller.quorum.voters`), so its address may change with every
start.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

from tokentide_jobs.embedded.kafka.archive import archive_path, have, reading, writing
from tokentide_jobs.embedded.kafka.artifacts import KAFKA_VERSION, class_path, java
from tokentide_jobs.embedded.kafka.broker import BrokerKind, Capabilities, Notify
from tokentide_jobs.embedded.kafka.correction import correction_jar
from tokentide_jobs.embedded.kafka.forgotten_topics import forgotten_topics
from tokentide_jobs.embedded.kafka.natives import native_options
from tokentide_jobs.embedded.kafka.produce_probe import produce_problem
from tokentide_jobs.embedded.kafka.properties import (
    JAVA_OPTIONS,
    java_environment,
    server_properties,
)
from tokentide_jobs.embedded.processes.child import ChildProcess, ChildRecord
from tokentide_jobs.embedded.processes.ports import LOOPBACK, choose_port
from tokentide_jobs.errors import StackError
from tokentide_jobs.io.kafka.admin import topic_names
from tokentide_jobs.io.kafka.own_loop import run_on_own_loop
from tokentide_jobs.io.kafka.wire import is_serving
from tokentide_jobs.owner_only import CHILD_UMASK, owner_only_directory, owner_only_file

__all__ = ["KafkaBroker"]

_START_DEADLINE_S = 60.0
"""Three seconds on an idle machine; the rest is room for recovery and busy continuous builds."""

_PROBE_TIMEOUT_S = 10.0

_TRAINING_DEADLINE_S = 90.0

_PORT_ATTEMPTS = 3
"""Another process may take a free port between the choice and the bind."""


class KafkaBroker:
    """Apache Kafka, started from the Java runtime and the jars that pip and jgo bring."""

    kind: BrokerKind = "kafka"
    capabilities = Capabilities(
        persistent=True,
        idempotent_producer=True,
        retention=True,
    )

    survives_restart = True
    fills_disk = True

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
        self._archive_options: tuple[str, ...] = ()
        self._native_options: tuple[str, ...] = ()

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

    def prepare(self) -> None:
        """Have jars and Java at hand; the first time on a machine this downloads 44 MB.

        Raises:
            ArtifactsUnavailable: They cannot be had.
        """
        java()
        jars = class_path(self._cache_dir, self._notify)
        home = self._cache_dir / f"kafka-{KAFKA_VERSION}"
        self._class_path = ":".join(map(str, [correction_jar(jars, home), *jars]))
        self._native_options = native_options(jars, home / "native")
        archive = archive_path(self._cache_dir, [*JAVA_OPTIONS, self._class_path])
        have(archive, self._train)
        self._archive_options = reading(archive)

    def has_log(self) -> bool:
        """Tell whether the data directory holds a Kafka log of an earlier start."""
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
        # A broker that is started again keeps its address: its clients know no other.
        fixed_port = self._wanted_port or self._port
        for _attempt in range(_PORT_ATTEMPTS):
            self._port = choose_port(fixed_port, "--kafka-port")
            self._write_settings(choose_port(0, "controller port"))
            child = ChildProcess(
                "kafka",
                self._java("kafka.Kafka", self._settings.name),
                log_path=self._log_file,
                env=java_environment(os.environ),
                cwd=self._home,
            )
            self._child = child  # from here on `stop` and `kill` of another thread reach it
            child.start()
            problem = self._await_serving(child)
            if not problem and (record := child.record()) is not None:
                self._check_topics(child)
                return record
            child.kill()
            if "Address already in use" not in child.log_tail(50):
                break
        raise StackError(
            f"Kafka did not start ({problem}; exit code {child.exit_code}, log "
            f"{self._log_file}): {child.log_tail()}"
        )

    def _check_topics(self, child: ChildProcess) -> None:
        known = run_on_own_loop(topic_names(self.bootstrap))
        forgotten = forgotten_topics(self._home / "log", known)
        if forgotten:
            child.kill()
            directories = [str(path) for paths in forgotten.values() for path in paths]
            raise StackError(
                f"Kafka does not know {', '.join(forgotten)} any more, and the records are still "
                f"in {', '.join(directories)}. Put a copy of {self._home} back, or move these "
                "directories away to begin with empty topics: what no worker has read is not stored"
            )

    def problem(self) -> str:
        """Take a record; why that fails, or "" when it does not."""
        return produce_problem(self.bootstrap, _PROBE_TIMEOUT_S, lambda: self.is_running)

    def stop(self, deadline_s: float = 10.0) -> None:
        """Shut the broker down in order, so that the next start need not recover anything."""
        if self._child is not None:
            self._child.stop(deadline_s)

    def kill(self) -> None:
        """End it as a crash would; acknowledged records are in the page cache and survive."""
        if self._child is not None:
            self._child.kill()

    def _train(self, archive: Path) -> None:
        """Start and stop a broker that writes down which classes it loaded and linked."""
        self._notify("preparing Apache Kafka for quick starts (once)")
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix="training-") as scratch:
            training_broker = KafkaBroker(Path(scratch), port=0, cache_dir=self._cache_dir)
            training_broker._class_path = self._class_path
            training_broker._native_options = self._native_options
            written = Path(scratch) / "archive.aot"
            with suppress(StackError):
                # First: the formatting tool would write an archive of its own when it ends.
                training_broker._clear_temporary_files()
                training_broker._format()
                training_broker._archive_options = writing(written)
                training_broker.start()
                training_broker.stop(_TRAINING_DEADLINE_S)
            if written.exists():
                written.replace(archive)
            else:
                # A Java that cannot do it: an empty file, which Java ignores, ends the attempts.
                archive.touch()

    @property
    def _settings(self) -> Path:
        return self._home / "server.properties"

    def _java(self, *arguments: str) -> list[str]:
        assert self._class_path is not None
        # On machines without prepared codecs they unpack here: /tmp may forbid execution.
        temporary = f"-Djava.io.tmpdir={self._home / 'tmp'}"
        options = [*JAVA_OPTIONS, *self._archive_options, *self._native_options, temporary]
        return [str(java()), *options, "-cp", self._class_path, *arguments]

    def _clear_temporary_files(self) -> None:
        owner_only_directory(self._home)
        temporary = self._home / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        owner_only_directory(temporary)

    def _write_settings(self, controller_port: int) -> None:
        text = server_properties(self._port, controller_port)
        fd = owner_only_file(self._settings, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(text)

    def _format(self) -> None:
        """Give a new directory its cluster id, once."""
        self._write_settings(choose_port(0, "controller port"))
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        try:
            done = subprocess.run(
                self._java(*tool, f"--cluster-id={cluster_id}", "--config", self._settings.name),
                cwd=self._home,
                env=java_environment(os.environ),
                capture_output=True,
                text=True,
                timeout=_START_DEADLINE_S,
                check=False,
                umask=CHILD_UMASK,
            )
        except subprocess.TimeoutExpired as exc:
            raise StackError(
                f"Kafka has not formatted {self._home / 'log'} within {_START_DEADLINE_S:g} s: "
                "the machine is very busy; try again when it is less so"
            ) from exc
        if done.returncode != 0:
            raise StackError(f"Kafka cannot format {self._home / 'log'}: {done.stderr[-1000:]}")

    def _await_serving(self, child: ChildProcess) -> str:
        """Wait until it takes records; what is the matter at the deadline, or ""."""
        deadline = time.monotonic() + _START_DEADLINE_S
        problem = "it does not answer"
        while time.monotonic() < deadline and child.exit_code is None:
            if is_serving(LOOPBACK, self._port) and not (problem := self.problem()):
                return ""
            time.sleep(0.05)
        return problem
