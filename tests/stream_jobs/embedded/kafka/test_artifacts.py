"""Kafka's jars: only the locked bytes are used, damage heals, and a mirror may serve them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tokentide_jobs.embedded.artifacts import locked_jars, uplot
from tokentide_jobs.embedded.artifacts.cache import default_cache_dir
from tokentide_jobs.embedded.artifacts.locked_jars import ArtifactsUnavailable, LockedJar
from tokentide_jobs.embedded.kafka import artifacts as kafka_artifacts
from tokentide_jobs.embedded.kafka.artifacts import class_path
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.errors import StackError

JARS = {
    "org/example/one/1.0/one-1.0.jar": b"the first jar",
    "org/example/deep/two/2.0-rc1/two-2.0-rc1.jar": b"the second jar",
}


class _Mirror(SimpleHTTPRequestHandler):
    """Serves a folder and counts what was asked for."""

    asked: list[str] = []  # noqa: RUF012 - one server per test sets its own

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a repository on this machine, named in the user's jgo.conf, and a lock of two jars."""
    folder = tmp_path / "mirror"
    for path, content in JARS.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(content)
    lock = tmp_path / "lock.sha256"
    lock.write_text(
        "".join(
            f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in JARS.items()
        )
    )
    monkeypatch.setattr(kafka_artifacts, "LOCK", replace(kafka_artifacts.LOCK, file=lock))
    monkeypatch.setattr(_Mirror, "asked", [])
    handler = partial(_Mirror, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        use_repository(tmp_path, monkeypatch, f"http://127.0.0.1:{server.server_address[1]}")
        yield folder
        server.shutdown()
        thread.join()


def use_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    conf = tmp_path / "jgo.conf"
    conf.write_text(f"[repositories]\ncentral = {url}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(conf))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_the_committed_lock_names_kafka_and_gives_every_jar_a_sha256() -> None:
    jars = kafka_artifacts.LOCK.jars()

    assert len(jars) == 46
    assert any(
        jar.coordinate == ("org.apache.kafka", "kafka_2.13", kafka_artifacts.KAFKA_VERSION)
        for jar in jars
    )
    assert all(len(jar.sha256) == 64 and jar.path.endswith(".jar") for jar in jars)


def test_the_committed_lock_of_uplot_names_one_jar_of_its_version() -> None:
    (jar,) = uplot.LOCK.jars()

    assert jar.coordinate == tuple(uplot.ENDPOINT.split(":"))
    assert len(jar.sha256) == 64


def test_a_path_in_a_repository_tells_the_coordinate() -> None:
    assert LockedJar("org/example/deep/two/2.0-rc1/two-2.0-rc1.jar", "").coordinate == (
        "org.example.deep",
        "two",
        "2.0-rc1",
    )


def test_jars_come_from_the_repository_in_jgo_conf_once_and_then_from_the_cache(
    tmp_path: Path, mirror: Path
) -> None:
    notes: list[str] = []

    first = class_path(tmp_path / "cache", notes.append)
    asked = len(_Mirror.asked)
    second = class_path(tmp_path / "cache", notes.append)

    assert [path.read_bytes() for path in first] == list(JARS.values())
    assert second == first
    assert asked >= len(JARS)
    assert len(_Mirror.asked) == asked
    assert len(notes) == 1
    assert "2 of 2 jars" in notes[0]
    assert " MB" in notes[0]


def test_a_slow_download_says_how_far_it_is(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked_jars, "_PROGRESS_EVERY_S", 0.01)
    may_go_on = threading.Event()
    serve = _Mirror.do_GET

    def serve_late(handler: _Mirror) -> None:
        if "two-2.0-rc1.jar" in handler.path:
            may_go_on.wait(30)
        serve(handler)

    monkeypatch.setattr(_Mirror, "do_GET", serve_late)
    notes: list[str] = []

    def hear(line: str) -> None:
        notes.append(line)
        if line.startswith("1 of 2 jars"):
            may_go_on.set()

    class_path(tmp_path / "cache", hear)

    assert may_go_on.is_set()
    assert any(line.startswith("1 of 2 jars are here") and line.endswith("MB") for line in notes)


@pytest.mark.integration
def test_the_stated_size_is_that_of_the_locked_jars() -> None:
    jars = class_path(default_cache_dir())

    megabytes = sum(jar.stat().st_size for jar in jars) / 1e6

    assert abs(megabytes - kafka_artifacts.LOCK.megabytes) < 1


def test_a_jar_that_was_damaged_in_the_cache_is_fetched_again(tmp_path: Path, mirror: Path) -> None:
    damaged, _other = class_path(tmp_path / "cache")
    damaged.write_bytes(b"half a j")

    assert class_path(tmp_path / "cache")[0].read_bytes() == b"the first jar"


def test_a_jar_that_is_not_the_locked_one_is_refused_and_not_kept(
    tmp_path: Path, mirror: Path
) -> None:
    (mirror / "org/example/one/1.0/one-1.0.jar").write_bytes(b"something else")

    with pytest.raises(ArtifactsUnavailable, match=r"one-1\.0\.jar.*sha256"):
        class_path(tmp_path / "cache")

    assert not list((tmp_path / "cache").rglob("one-1.0.jar"))


def test_without_the_artifacts_tansu_serves_with_one_line_of_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_repository(tmp_path, monkeypatch, "http://127.0.0.1:9")
    notes: list[str] = []
    options = {"cache_dir": tmp_path / "cache", "notify": notes.append}

    broker = choose_broker(None, tmp_path / "data", **options)  # type: ignore[arg-type]

    assert broker.kind == "tansu"
    assert "127.0.0.1:9" in notes[-1]
    assert "using Tansu instead" in notes[-1]
    assert all("\n" not in line for line in notes)
    with pytest.raises(ArtifactsUnavailable, match=r"127\.0\.0\.1:9"):
        choose_broker("kafka", tmp_path / "data", **options)  # type: ignore[arg-type]


def test_a_directory_with_a_kafka_log_is_never_served_by_tansu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_repository(tmp_path, monkeypatch, "http://127.0.0.1:9")
    marker = tmp_path / "data" / "kafka" / "log" / "meta.properties"
    marker.parent.mkdir(parents=True)
    marker.write_text("version=1\n")

    with pytest.raises(StackError, match="holds a Kafka log"):
        choose_broker(None, tmp_path / "data", cache_dir=tmp_path / "cache")
