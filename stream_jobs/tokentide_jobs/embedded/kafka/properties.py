"""How Kafka and its Java machine are set up for one laptop: pure text, no process.

What is set to other than Kafka's defaults, and why, stands beside the setting.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokentide_jobs.embedded.processes.ports import LOOPBACK

__all__ = ["JAVA_OPTIONS", "java_environment", "server_properties"]

JAVA_OPTIONS = (
    "-Xmx192m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "--enable-native-access=ALL-UNNAMED",  # zstd and snappy load native code
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)

_FOREIGN_OPTIONS = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}

_SETTINGS = {
    # Relative to the working directory: a comma in an absolute path would end the name.
    "log.dirs": "log",
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
    # An index grows in memory that the disk backs: without a free page the entry is lost after the
    # record was written, and the offset may be given away twice. So let it need few pages.
    "log.index.interval.bytes": "65536",
}


def server_properties(port: int, controller_port: int) -> str:
    """Return `server.properties`; only the log directory outlives a change of ports."""
    settings = {
        **_SETTINGS,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def java_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the Java process.

    Options meant for the user's other Java programs would change heap and class path here, and
    without a UTF-8 locale Java cannot name files that are not ASCII.
    """
    kept = {name: value for name, value in inherited.items() if name not in _FOREIGN_OPTIONS}
    return {**kept, "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
