"""Jars from a Maven repository, each pinned by its sha256, in a cache of the whole machine.

A lock names every jar by its path in a Maven repository and its sha256. `jgo` fetches what the
cache lacks; nothing whose checksum differs is ever used. Once a full check has passed, later starts
compare only size and modification time (`checked.json`), so they cost milliseconds and need no
network.

Another repository than Maven Central, for instance a mirror inside a company: name it `central` in
the section `[repositories]` of `~/.config/jgo.conf` (or of the file `$JGO_CONFIG_FILE` names).
Proxies, certificates and credentials come from where `requests` looks: `HTTPS_PROXY`,
`REQUESTS_CA_BUNDLE` and `~/.netrc`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tokentide_jobs.embedded.artifacts.cache import exclusive
from tokentide_jobs.errors import StackError
from tokentide_jobs.how_to_install import install_line

__all__ = ["ArtifactsUnavailable", "JarLock", "LockedJar"]

_PARALLEL_DOWNLOADS = 8
_PROGRESS_EVERY_S = 5.0
"""A slow connection needs minutes: report often enough that it does not look stuck."""


class ArtifactsUnavailable(StackError):
    """Jars, or the Java runtime that runs them, cannot be had here; something else may serve."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar of the lock.

    Attributes:
        path: Where a Maven repository keeps it: group/artifact/version/file.
        sha256: Of its bytes, in hexadecimal.
    """

    path: str
    sha256: str

    @property
    def coordinate(self) -> tuple[str, str, str]:
        """Group, artifact and version."""
        *group, artifact, version, _file = self.path.split("/")
        return ".".join(group), artifact, version


@dataclass(frozen=True, slots=True)
class JarLock:
    """The jars of one program.

    Attributes:
        name: The program and its version, for people.
        file: The committed lock: a line `sha256  path` for each jar.
        folder: Of the cache, where they are kept.
        megabytes: Size of all together, reported before they are fetched.
    """

    name: str
    file: Path
    folder: str
    megabytes: float

    def jars(self) -> tuple[LockedJar, ...]:
        """Read the lock, in its order."""
        lines = self.file.read_text(encoding="ascii").splitlines()
        return tuple(
            LockedJar(path, sha256) for sha256, path in (line.split("  ") for line in lines)
        )

    def fetched(
        self, cache_dir: Path, notify: Callable[[str], None] = lambda _: None
    ) -> tuple[Path, ...]:
        """Return all jars, checked against the lock; downloads what is missing.

        Args:
            cache_dir: Shared between data directories; safe for several processes at once.
            notify: Called with a line when something takes long, and with how far it is.

        Raises:
            ArtifactsUnavailable: Something is missing and cannot be fetched, or a file that was
                fetched is not the one in the lock.
        """
        jars = self.jars()
        root = cache_dir / self.folder / "maven"
        stamp_file = root.parent / "checked.json"
        if _stamp(root, jars) != _read_stamp(stamp_file):
            with exclusive(root.parent):
                missing = [jar for jar in jars if not _is_sound(root, jar)]
                if missing:
                    notify(
                        f"fetching {len(missing)} of {len(jars)} jars of {self.name} "
                        f"(once; {self.megabytes:g} MB in all)"
                    )
                    self._fetch(root, missing, notify)
                temporary = stamp_file.with_suffix(f".{os.getpid()}")
                temporary.write_text(json.dumps(_stamp(root, jars)), encoding="utf-8")
                temporary.replace(stamp_file)
        return tuple(root / jar.path for jar in jars)

    def _fetch(self, root: Path, jars: list[LockedJar], notify: Callable[[str], None]) -> None:
        try:
            import requests
            from jgo.config import GlobalSettings
            from jgo.maven import MavenContext
        except ImportError as exc:
            raise ArtifactsUnavailable(
                f"no jgo to fetch {self.name} with: "
                f"install it with {install_line('pipeline', 'embedded')}"
            ) from exc
        context = MavenContext(repo_cache=root)
        # jgo's own entry points ignore the repositories that its configuration file names.
        context.remote_repos.update(GlobalSettings.load().repositories)

        def fetch(jar: LockedJar) -> None:
            group, artifact, version = jar.coordinate
            context.project(group, artifact).at_version(version).artifact().resolve()
            if not _is_sound(root, jar):
                raise ArtifactsUnavailable(
                    f"{jar.path}: the repository's file does not have the sha256 that "
                    f"{self.file.name} pins ({jar.sha256}); check the mirror in jgo.conf"
                )

        repositories = ", ".join(context.remote_repos.values())
        try:
            downloads = ThreadPoolExecutor(_PARALLEL_DOWNLOADS)
            try:
                pending = {downloads.submit(fetch, jar) for jar in jars}
                while pending:
                    finished, pending = wait(pending, _PROGRESS_EVERY_S, FIRST_EXCEPTION)
                    for download in finished:
                        download.result()
                    if pending:
                        here = len(jars) - len(pending)
                        arrived = f"{_fetched_mb(root, jars):.0f} MB"
                        notify(f"{here} of {len(jars)} jars are here, {arrived}")
            finally:
                # Where one fails all would: do not wait for a time-out of each.
                downloads.shutdown(cancel_futures=True)
        except (requests.RequestException, RuntimeError, OSError) as exc:
            raise ArtifactsUnavailable(
                f"{self.name} cannot be fetched from {repositories}: {_in_short(exc)}"
            ) from exc


def _stamp(root: Path, jars: Iterable[LockedJar]) -> dict[str, list[int | str]] | None:
    """Return checksum, size and modification time of every jar; None when one is missing."""
    try:
        stats = [(jar, (root / jar.path).stat()) for jar in jars]
    except OSError:
        return None
    return {jar.path: [jar.sha256, stat.st_size, stat.st_mtime_ns] for jar, stat in stats}


def _read_stamp(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "never checked"


def _is_sound(root: Path, jar: LockedJar) -> bool:
    """Tell whether the file is there and is the locked one; a wrong one is removed.

    jgo writes to the final name: a download that was cut off looks complete to it.
    """
    path = root / jar.path
    if not path.exists():
        return False
    if hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256:
        return True
    path.unlink()
    return False


def _fetched_mb(root: Path, jars: Iterable[LockedJar]) -> float:
    """Measure what has arrived: jgo writes to the final name, so files count while they grow."""
    paths = [root / jar.path for jar in jars]
    return sum(path.stat().st_size for path in paths if path.exists()) / 1e6


def _in_short(exc: Exception) -> str:
    """Cut to one line: the libraries' texts nest four exceptions and repeat the address."""
    import requests

    if isinstance(exc, requests.exceptions.SSLError):
        return "its certificate is not trusted (REQUESTS_CA_BUNDLE names your own authority)"
    if isinstance(exc, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(exc, requests.ConnectionError | requests.Timeout):
        return "no connection"
    text = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return text if len(text) <= 120 else f"{text[:120]}…"
