"""What docs and deployments give for Kafka and ClickHouse of one's own, run as it stands.

docs/operations.md is run in an empty directory; docker-compose.yml, deploy/kubernetes and
deploy/systemd as another user without a home, or where nothing at all can be written. Broker and
ClickHouse are processes of their own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deploy.containers import CONTAINERS
from tests.end_to_end.production import (
    AS_UNPRIVILEGED,
    WITHOUT_WRITING,
    Place,
    Servers,
    Worker,
    assert_sends,
    assert_stores,
    ended,
    environment,
    needs_root,
    replaced,
    send_event,
)
from tests.places import ROOT
from tests.prepared import Prepared
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.embedded.processes.ports import choose_port
from tokentide_jobs.settings.stack_file import CLICKHOUSE_DIRECTORY

pytestmark = pytest.mark.integration

IN_A_CONTAINER = (*WITHOUT_WRITING, *AS_UNPRIVILEGED)
POD_ADDRESS = "127.0.0.2"
"""Of this machine alone, and not known to a worker as such: its page treats it as a pod's."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Servers]:
    """Of their databases only that of the pods is new."""
    broker = choose_broker(None, tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        home = prepared(tmp_path_factory.mktemp("stored")) / CLICKHOUSE_DIRECTORY
        with ClickHouseProcess.start(home) as server:
            yield Servers(broker.bootstrap, server.dsn)
    finally:
        broker.stop()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    # The working directory of an image belongs to root, and everybody may read it.
    tmp_path.chmod(0o755)
    return tmp_path


def test_the_lines_of_operations_run_in_an_empty_directory(
    servers: Servers, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("\n## Against Kafka and ClickHouse of your own\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    port = choose_port(0, "http")
    lines = replaced(
        found[1],
        {
            "kafka-1:9092,kafka-2:9092": servers.kafka,
            "https://admin:password@clickhouse:8443": servers.clickhouse_url,
            "https://ingest:password@clickhouse:8443": servers.clickhouse_url,
            "--http-port 6066": f"--http-port {port}",
        },
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    process = subprocess.Popen(
        ["bash", "-euc", lines],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=empty,
        env=environment(),
    )
    with ended(process):
        worker = Worker(process, "127.0.0.1", port)
        worker.until("/readyz", 200)
        assert_stores(servers)
        worker.stop()

    assert list(empty.iterdir()) == []


@needs_root
def test_the_services_of_compose_run_where_they_can_write_nothing(
    servers: Servers, directory: Path
) -> None:
    place = Place(servers, directory, "127.0.0.1", choose_port(0, "http"), IN_A_CONTAINER)
    place.run(CONTAINERS["compose topics"])
    place.run(CONTAINERS["compose migrate"])
    for name in ("compose ingest", "compose detect"):
        with place.started(CONTAINERS[name]) as worker:
            worker.until("/readyz", 200)
            place.is_healthy(CONTAINERS[name])
            if "ingest" in name:
                assert_stores(servers)
                with place.started(CONTAINERS["compose demo"]) as demo:
                    assert_sends(servers, demo)
            worker.stop()


@needs_root
def test_pods_run_where_they_can_write_nothing_and_may_start_in_any_order(
    servers: Servers, directory: Path
) -> None:
    place = Place(
        servers,
        directory,
        POD_ADDRESS,
        choose_port(0, "http"),
        IN_A_CONTAINER,
        database="tokentide_pods",
    )
    host = "10.1.2.3:6066"  # the kubelet names the address of the pod
    ingest, detect = CONTAINERS["kubernetes ingest"], CONTAINERS["kubernetes detect"]
    with place.started(ingest) as worker:
        # There are no tables yet: it lives, and waits for them.
        worker.until(ingest.probes["startupProbe"], 200, host)
        assert worker.status(ingest.probes["readinessProbe"], host) == 503

        place.run(CONTAINERS["kubernetes topics"])
        place.run(CONTAINERS["kubernetes migrate"])

        worker.until(ingest.probes["readinessProbe"], 200, host)
        assert_stores(servers, place.database)
        with servers.without_table(place.database, "raw_requests"):
            send_event(servers)
            worker.until("/healthz", 503, host)
            # A restart makes no table: the liveness probe must not fail.
            assert worker.status(ingest.probes["livenessProbe"], host) == 200
            worker.until(ingest.probes["readinessProbe"], 503, host)  # it looks by itself, too
        worker.until(ingest.probes["readinessProbe"], 200, host)
        worker.stop(ingest.stop_s)
    with (
        place.started(detect) as active,
        replace(place, port=choose_port(0, "http")).started(detect) as standby,
    ):
        for one in (active, standby):
            one.until(detect.probes["readinessProbe"], 200, host)
            assert one.status(detect.probes["livenessProbe"], host) == 200
        standby.stop(detect.stop_s)
        active.stop(detect.stop_s)


@needs_root
def test_the_units_of_systemd_run_as_a_user_who_may_nothing(
    servers: Servers, directory: Path
) -> None:
    place = Place(servers, directory, "127.0.0.1", choose_port(0, "http"), AS_UNPRIVILEGED)
    place.run(CONTAINERS["systemd tokentide-migrate.service: topics"])
    place.run(CONTAINERS["systemd tokentide-migrate.service: migrate"])
    for unit in ("tokentide-ingest@6066.service", "tokentide-detect.service"):
        with place.started(CONTAINERS[f"systemd {unit}: worker"]) as worker:
            worker.until("/readyz", 200)
            if "ingest" in unit:
                assert_stores(servers)
            worker.stop()
