"""docker-compose.yml and what it builds: valid, and true to the code and files that it names.

No engine runs here. What is true of our own services as of all processes of ours is in
test_containers.py, and what they do when started in tests/end_to_end/test_production_lines.py.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema
import pytest

from tests.deploy.containers import COMPOSE, USERS
from tests.each import each
from tests.places import ROOT
from tokentide_dashboards.kit.query import PLUGIN_VERSION

SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {
    name: service for name, service in SERVICES.items() if service["image"] == "tokentide:0.1.0"
}
SCHEMA: Final = json.loads((ROOT / "tests/deploy/data/compose-spec.json").read_text())
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
VARIABLE: Final = re.compile(r"(?<!\$)\$\{(\w+):-([^}]*)\}")
LASTING: Final = sorted(name for name in SERVICES if "healthcheck" in SERVICES[name])


def refusals(document: Any) -> list[str]:
    validator = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
    return [error.message for error in validator.iter_errors(document)]


def test_the_file_is_valid_by_the_schema_of_the_specification() -> None:
    assert refusals(COMPOSE) == []
    assert refusals(USERS) == []


def test_the_schema_refuses_a_misspelt_key() -> None:
    assert refusals({"services": {"one": {"image": "x", "restarts": "always"}}}) != []


def test_lasting_services_start_again_and_the_others_run_once() -> None:
    assert LASTING == ["clickhouse", "detect", "grafana", "ingest", "kafka"]
    assert [name for name in SERVICES if "restart" in SERVICES[name]] == [
        name for name in SERVICES if name in LASTING
    ]


@each("name", SERVICES)
def test_every_service_is_limited_and_listens_on_loopback_only(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "container_name" not in service
    assert not service["image"].endswith(":latest")
    assert ":" in service["image"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_writes_nothing_and_may_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert f"\nUSER {service['user']}\n" in DOCKERFILE
    assert "ports" not in service


@each("name", SERVICES)
def test_what_a_service_waits_for_can_happen(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_healthy" if other in LASTING else "service_completed_successfully"
        assert how == {"condition": wanted}


def test_addresses_lead_to_services_that_listen_there() -> None:
    listeners = SERVICES["kafka"]["environment"]["KAFKA_LISTENERS"]
    for service in OURS.values():
        given = service["environment"]
        if "TOKENTIDE_KAFKA_BOOTSTRAP" in given:
            host, port = given["TOKENTIDE_KAFKA_BOOTSTRAP"].split(":")
            assert f"INTERNAL://:{port}" in listeners
            assert (
                f"INTERNAL://{host}:{port}"
                in (SERVICES[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"])
            )
        if "TOKENTIDE_CLICKHOUSE_URL" in given:
            url = urlsplit(given["TOKENTIDE_CLICKHOUSE_URL"])
            assert any(
                port.endswith(f":{url.port}") for port in SERVICES[str(url.hostname)]["ports"]
            )
            assert f":{url.port}/ping" in SERVICES[str(url.hostname)]["healthcheck"]["test"][1]


def hosts(name: str) -> set[str]:
    """Return the services that one service connects to, by the addresses it is given."""
    text = (
        json.dumps(SERVICES[name].get("environment", {})) + SERVICES[name].get("command", [""])[0]
    )
    for path in re.findall(r"\./(deploy/compose/[-\w]+\.sh)", json.dumps(SERVICES[name])):
        text += (ROOT / path).read_text()
    named = {other for other in SERVICES if re.search(rf"(@|\W){other}(:\d| --user|\")", text)}
    return named - {name}


@each("name", SERVICES)
def test_a_service_shares_a_network_with_those_it_speaks_to_and_no_other(name: str) -> None:
    networks = set(SERVICES[name]["networks"])
    assert networks <= COMPOSE["networks"].keys()
    spoken_to = hosts(name)
    for other in spoken_to:
        assert networks & set(SERVICES[other]["networks"]), other
    if name not in {"kafka", "clickhouse"}:
        servers = [other for other in ("kafka", "clickhouse") if other in spoken_to]
        assert len(networks) == len(servers), f"{name} connects to {servers}"


@pytest.mark.parametrize("name", ["ingest", "detect"])
def test_the_health_check_of_a_worker_asks_the_port_of_its_command(name: str) -> None:
    command = SERVICES[name]["command"]
    port = command[command.index("--http-port") + 1]
    assert f"http://127.0.0.1:{port}/healthz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_the_log_of_kafka_lies_on_its_volume() -> None:
    (volume,) = SERVICES["kafka"]["volumes"]
    assert volume == f"kafka-data:{SERVICES['kafka']['environment']['KAFKA_LOG_DIRS']}"


def test_volumes_are_declared_and_mounted_files_exist() -> None:
    named = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = VARIABLE.sub(r"\2", volume).split(":")[0]
            if not source.startswith("./"):
                named.add(source)
            else:
                assert (ROOT / source).exists(), source
    assert named == COMPOSE["volumes"].keys()


def test_secrets_are_declared_written_and_read_where_they_lie() -> None:
    script = (ROOT / "deploy/compose/make-secrets.sh").read_text()
    written = re.search(r"for name in ([\w ]+);", script)
    assert written is not None
    assert set(written[1].split()) == COMPOSE["secrets"].keys() | USERS["secrets"].keys()
    for name, secret in {**COMPOSE["secrets"], **USERS["secrets"]}.items():
        assert secret == {"file": f"${{TOKENTIDE_SECRETS:-./secrets}}/{name}"}
    for name, service in SERVICES.items():
        text = json.dumps(service)
        for script_path in re.findall(r"\./(deploy/compose/\w+[-\w]*\.sh)", text):
            text += (ROOT / script_path).read_text()
        accounts = re.search(r"for account in ([\w ]+);", text)
        text += " ".join(
            f"/run/secrets/clickhouse_{each}" for each in (accounts[1].split() if accounts else ())
        )
        read = set(re.findall(r"/run/secrets/(\w+[a-z])\b", text))
        assert read == set(service.get("secrets", ())), name


def test_every_variable_of_the_file_is_in_the_example_with_its_default() -> None:
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert dict(VARIABLE.findall((ROOT / "docker-compose.yml").read_text())) == example


def test_accounts_get_the_roles_that_the_sql_makes() -> None:
    script = (ROOT / "deploy/compose/accounts.sh").read_text()
    accounts = re.search(r"for account in ([\w ]+);", script)
    assert accounts is not None
    for account in accounts[1].split():
        sql = (ROOT / "sql/roles" / f"{account}.sql").read_text()
        assert f"CREATE ROLE IF NOT EXISTS ${{database}}_{account} " in sql


def test_the_image_copies_what_exists_and_installs_what_the_project_names() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {path.split("/")[0] for path in (*wheel["packages"], *wheel["force-include"])}
    assert needed | set(project["project"]["license-files"]) <= set(copied)
    (extra,) = re.findall(r"'\.\[(\w+)\]'", DOCKERFILE)
    assert extra in project["project"]["optional-dependencies"]
    assert (
        f"image: tokentide:{project['project']['version']}"
        in (ROOT / "docker-compose.yml").read_text()
    )


def test_the_plugin_is_the_one_that_the_boards_are_written_for() -> None:
    assert f"grafana-clickhouse-datasource {PLUGIN_VERSION}\n" in DOCKERFILE


def test_every_image_that_is_built_has_its_stage() -> None:
    stages = re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE)
    built = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert built < set(stages)


@each("page", ("coding-agents.md", "deployment.md", "opentelemetry.md"))
def test_the_pages_name_the_listeners_of_kafka_for_host_and_containers(page: str) -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    addresses = re.findall(r"\w+://([\w.]+:\d+)", VARIABLE.sub(r"\2", advertised))
    text = (ROOT / "docs" / page).read_text("utf-8")
    named = set(re.findall(r"\b(?:kafka|127\.0\.0\.1):\d*90?92\b", text))
    assert named == set(addresses)
    assert SERVICES["kafka"]["networks"] == ["stream"]
    assert "network `stream`" in text
