"""`python -m tokentide_jobs.embedded.kafka.jar_lock`: resolve all jars again, write the locks.

For maintainers, after a change of an `ENDPOINT`: jgo walks the dependency graph, fetches every
jar and the checksums of what arrived become the new locks, to be reviewed and committed.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from jgo.maven import MavenContext
from jgo.parse import Endpoint

from tokentide_jobs.embedded.artifacts import uplot
from tokentide_jobs.embedded.kafka import artifacts as kafka

__all__ = ["resolve"]


def resolve(endpoint: str, repository: Path) -> str:
    """Return the lock's text: sha256 and repository path of every compile and runtime jar.

    Args:
        endpoint: Maven coordinates joined by `+`.
        repository: Where the files are put; must be empty for a lock without leftovers.
    """
    context = MavenContext(repo_cache=repository)
    wanted = [
        context.create_dependency(replace(coordinate, scope="compile"))
        for coordinate in Endpoint.parse(endpoint).coordinates
    ]
    named, transitive = context.resolver.resolve(wanted)
    needed = [*named, *(found for found in transitive if found.scope in ("compile", "runtime"))]
    jars = sorted(Path(dependency.artifact.resolve()) for dependency in needed)
    return "".join(
        f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.relative_to(repository)}\n"
        for jar in jars
    )


if __name__ == "__main__":
    for program in (kafka, uplot):
        with tempfile.TemporaryDirectory() as scratch:
            program.LOCK.file.write_text(resolve(program.ENDPOINT, Path(scratch)), encoding="ascii")
