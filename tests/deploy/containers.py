"""Every process of ours as a deployment names it: command, settings, secrets and files, health.

docker-compose.yml, deploy/kubernetes and deploy/systemd are read as they stand; what starts their
processes and what compares them with the code takes them from here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from tests.places import ROOT

COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
USERS: Final = yaml.safe_load((ROOT / "deploy/compose/users.yaml").read_text())
"""What an operator adds who keeps users."""
KUBERNETES: Final = ROOT / "deploy/kubernetes"
SYSTEMD: Final = ROOT / "deploy/systemd"
INSTANCE: Final = "6066"
"""Of a unit that is a template."""


@dataclass(frozen=True)
class Container:
    """One process, wherever it runs.

    Attributes:
        name: Deployment and service.
        command: With its arguments.
        environment: What it is given, secrets apart.
        secrets: Paths that hold a secret.
        files: Other files that it is given, by path.
        check: A command that exits with 0 while it is healthy.
        probes: Paths that are asked while it runs, by what for.
        stop_s: How long it may take to end, before it is killed.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)
    check: tuple[str, ...] = ()
    probes: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 0


def of_compose() -> Iterator[Container]:
    """Yield the services whose image is ours, and those that keep users."""
    services = dict(COMPOSE["services"])
    for name, more in USERS["services"].items():
        base = services[name]
        services[f"{name} with users"] = {
            **base,
            "environment": {**base["environment"], **more["environment"]},
            "secrets": [*base["secrets"], *more["secrets"]],
        }
    for name, service in services.items():
        if service["image"] != "tokentide:0.1.0":
            continue
        kind, *check = service.get("healthcheck", {}).get("test", ["CMD"])
        assert kind == "CMD"
        yield Container(
            f"compose {name}",
            tuple(service["command"]),
            {key: str(value) for key, value in service["environment"].items()},
            secrets=frozenset(f"/run/secrets/{secret}" for secret in service.get("secrets", ())),
            check=tuple(check),
            stop_s=float(service.get("stop_grace_period", "10s").removesuffix("s")),
        )


def manifests(*names: str, is_all_in: bool = False) -> list[dict[str, Any]]:
    """Return the objects of these files of deploy/kubernetes, or of all that are applied.

    Args:
        names: Files; all that are applied where there are none.
        is_all_in: Read lines that stand behind a # without a blank, too.
    """
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    texts = [(KUBERNETES / name).read_text() for name in names or kustomization["resources"]]
    if is_all_in:
        texts = [re.sub(r"^( *)#(?=- )", r"\1", text, flags=re.MULTILINE) for text in texts]
    return [one for text in texts for one in yaml.safe_load_all(text)]


def of_kubernetes() -> Iterator[Container]:
    """Yield the containers of every pod, those that prepare first; and those that keep users."""
    secrets = manifests("secrets.example.yaml")
    yield from _of_pods([*manifests(), *secrets], "")
    yield from _of_pods(
        [*manifests("ingest.yaml", is_all_in=True), *manifests("settings.yaml"), *secrets],
        " with users",
    )


def _of_pods(objects: list[dict[str, Any]], kind: str) -> Iterator[Container]:
    held: dict[tuple[str, str], Mapping[str, str]] = {
        (one["kind"], one["metadata"]["name"]): one.get("data", one.get("stringData", {}))
        for one in objects
        if one["kind"] in {"ConfigMap", "Secret"}
    }
    for one in objects:
        if "template" not in one.get("spec", {}):
            continue
        pod = one["spec"]["template"]["spec"]
        mounted: dict[str, tuple[bool, Mapping[str, str]]] = {}
        for volume in pod["volumes"]:
            if "secret" in volume:
                content = held["Secret", volume["secret"]["secretName"]]
            else:
                content = held["ConfigMap", volume["configMap"]["name"]]
            mounted[volume["name"]] = ("secret" in volume, content)
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            made = _of_pod(container, pod, held, mounted)
            yield replace(made, name=made.name + kind)


def _of_pod(
    container: Mapping[str, Any],
    pod: Mapping[str, Any],
    held: Mapping[tuple[str, str], Mapping[str, str]],
    mounted: Mapping[str, tuple[bool, Mapping[str, str]]],
) -> Container:
    environment: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        environment |= held["ConfigMap", source["configMapRef"]["name"]]
    environment |= {one["name"]: one["value"] for one in container.get("env", ())}
    secrets, files = set(), {}
    for mount in container.get("volumeMounts", ()):
        is_secret, content = mounted[mount["name"]]
        for name, text in content.items():
            path = f"{mount['mountPath']}/{name}"
            if is_secret:
                secrets.add(path)
            else:
                files[path] = text
    return Container(
        f"kubernetes {container['name']}",
        tuple(container["command"]),
        environment,
        secrets=frozenset(secrets),
        files=files,
        probes={
            kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")
        },
        stop_s=float(pod.get("terminationGracePeriodSeconds", 30)),
    )


def unit_lines(path: Path) -> list[tuple[str, str, str]]:
    """Return section, key and value of every line of a unit, in their order."""
    lines, section = [], ""
    for line in path.read_text().splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = found[1]
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"{path.name}: {line}"
            lines.append((section, key, value))
    return lines


def _variables(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def of_systemd() -> Iterator[Container]:
    """Yield what every unit runs, as systemd expands it, and the units that keep users."""
    for path in sorted(SYSTEMD.glob("*.service")):
        lines = unit_lines(path)
        yield from _of_unit(path, lines, "")
        for more in sorted((SYSTEMD / f"{path.name}.d").glob("*.conf.example")):
            yield from _of_unit(
                path, [*lines, *unit_lines(more)], f" with {more.name.partition('.')[0]}"
            )


def _of_unit(path: Path, lines: list[tuple[str, str, str]], kind: str) -> Iterator[Container]:
    unit = path.name.replace("@", f"@{INSTANCE}")
    credentials = f"/run/credentials/{unit}"
    given = [
        (key, value.replace("%i", INSTANCE).replace("%d", credentials)) for _, key, value in lines
    ]
    environment: dict[str, str] = {}
    # Files come after assignments, whatever the order of their lines.
    for key, value in sorted(given, key=lambda one: one[0] == "EnvironmentFile"):
        if key == "Environment":
            environment |= _variables(value)
        elif key == "EnvironmentFile":
            name = value.removeprefix("/etc/tokentide/")
            environment |= _variables((SYSTEMD / f"{name}.example").read_text())
    loaded = [value.partition(":")[0] for key, value in given if key == "LoadCredential"]
    stop = [float(value) for key, value in given if key == "TimeoutStopSec"]
    for key, value in given:
        if key == "ExecStart":
            program, *arguments = shlex.split(value)
            assert program == "/opt/tokentide/bin/tokentide"
            yield Container(
                f"systemd {unit}: {arguments[0]}{kind}",
                ("tokentide", *arguments),
                environment,
                secrets=frozenset(f"{credentials}/{name}" for name in loaded),
                stop_s=stop[0] if stop else 90,
            )


CONTAINERS: Final = {
    container.name: container for container in (*of_compose(), *of_kubernetes(), *of_systemd())
}
