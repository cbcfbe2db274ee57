"""An ahead-of-time archive of Kafka's classes: a start takes 0.6 s instead of 1.5 s, half the CPU.

Java reads it when it fits (same Java, options and class path: they are in the name) and ignores it
when it does not; nothing but speed depends on it. One that no start has used for a month is removed
when a new one is made: each has 65 MB.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tokentide_jobs.embedded.artifacts.cache import exclusive
from tokentide_jobs.embedded.kafka.artifacts import KAFKA_VERSION, java

__all__ = ["archive_path", "have", "reading", "writing"]

_UNUSED_S: Final = 30 * 86_400.0
# Adapters and stubs are machine code: Java 25 warns that it finds some under a wrong name.
_NO_MACHINE_CODE = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-AOTAdapterCaching",
    "-XX:-AOTStubCaching",
)


def reading(archive: Path) -> tuple[str, ...]:
    """Return the Java options that use an archive."""
    return (*_NO_MACHINE_CODE, f"-XX:AOTCache={archive}")


def writing(archive: Path) -> tuple[str, ...]:
    """Return the Java options that write an archive when the program ends."""
    return (*_NO_MACHINE_CODE, f"-XX:AOTCacheOutput={archive}")


def archive_path(cache_dir: Path, fits: Iterable[str]) -> Path:
    """Return where the archive for this Java, these options and this class path belongs."""
    release = (java().parent.parent / "release").read_text(encoding="utf-8")
    wanted = hashlib.sha256("\0".join([str(java()), release, *fits]).encode()).hexdigest()
    return cache_dir / f"kafka-{KAFKA_VERSION}" / f"classes-{wanted[:16]}.aot"


def have(archive: Path, make: Callable[[Path], None]) -> None:
    """Have an archive at hand, marked as used now; where it is missing, one process makes it.

    Args:
        archive: Where it belongs.
        make: Makes it.
    """
    if not archive.exists():
        with exclusive(archive.parent):
            if not archive.exists():
                make(archive)
                _remove_unused(archive.parent, time.time())
    with suppress(OSError):  # a cache that others own: they keep it
        os.utime(archive)


def _remove_unused(home: Path, now_s: float) -> None:
    for archive in home.glob("classes-*.aot"):
        # A broker that still runs on one keeps it until it ends; others may remove it as well.
        with suppress(OSError):
            if archive.stat().st_mtime < now_s - _UNUSED_S:
                archive.unlink()
