"""uPlot, the chart library of the local viewer: from its WebJar, since no wheel carries it."""

from __future__ import annotations

from pathlib import Path

from tokentide_jobs.embedded.artifacts.locked_jars import JarLock

__all__ = ["ENDPOINT", "LOCK"]

UPLOT_VERSION = "1.6.30"
ENDPOINT = f"org.webjars.npm:uplot:{UPLOT_VERSION}"
"""What the lock was resolved from."""

LOCK = JarLock(
    name=f"uPlot {UPLOT_VERSION}",
    file=Path(__file__).with_name("uplot.sha256"),
    folder=f"uplot-{UPLOT_VERSION}",
    megabytes=0.2,
)
