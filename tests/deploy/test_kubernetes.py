"""deploy/kubernetes: valid, confined, and true to the code that it names. No cluster runs here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from tests.deploy.containers import CONTAINERS, KUBERNETES, manifests
from tests.each import each
from tests.places import ROOT
from tokentide_jobs.io.files.budget_file import load_budgets
from tokentide_jobs.io.files.slo_file import load_slos
from tokentide_jobs.io.files.whole_detect_file import load_detect_file
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import EVENTS, TOPICS

SCHEMA: Final = json.loads((ROOT / "tests/deploy/data/kubernetes.json").read_text())
EXAMPLES: Final = ("secrets.example.yaml", "autoscaling.example.yaml")
APPLIED: Final = manifests()
PODS: Final = {
    one["metadata"]["name"]: one["spec"]["template"]
    for one in APPLIED
    if "template" in one.get("spec", {})
}
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
LAG: Final = {
    "bootstrapServers", "consumerGroup", "topic", "lagThreshold", "activationLagThreshold",
    "offsetResetPolicy", "allowIdleConsumers", "scaleToZeroOnInvalidOffset", "excludePersistentLag",
    "limitToPartitionsWithLag", "version", "partitionLimitation", "tls", "sasl",
}  # fmt: skip
"""What KEDA's scaler for Kafka reads, by its documentation for 2.22."""
SCALED: Final = {
    "scaleTargetRef", "pollingInterval", "cooldownPeriod", "initialCooldownPeriod",
    "idleReplicaCount", "minReplicaCount", "maxReplicaCount", "fallback", "advanced", "triggers",
}  # fmt: skip
"""What a ScaledObject says, by the package @kubernetes-models/keda 2.0.0."""


def refusals(one: dict[str, Any]) -> list[str]:
    schema = {**SCHEMA["kinds"][one["kind"]], "$defs": SCHEMA["$defs"]}
    found = jsonschema.Draft202012Validator(schema).iter_errors(one)
    return [f"{error.json_path}: {error.message}" for error in found]


@each(
    "one",
    [*APPLIED, *manifests("secrets.example.yaml"), *manifests("ingest.yaml", is_all_in=True)],
    ids=lambda one: f"{one['kind']}-{one['metadata']['name']}",
)
def test_every_object_is_valid_by_the_schema_of_kubernetes(one: dict[str, Any]) -> None:
    assert refusals(one) == []
    assert "namespace" not in one["metadata"]


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("spec", "template", "spec", "containers", 0, "livenessProbe"), {"httpget": {}}),
        (("spec", "template", "spec", "securityContext"), {"runAsNonroot": True}),
        (("spec", "template", "spec"), {"terminationGracePeriodSeconds": "60s"}),
        (("spec",), {"replicas": "2"}),
        ((), {"specs": {}}),
    ],
)
def test_the_schema_refuses_what_a_server_would(
    path: tuple[str | int, ...], wrong: dict[str, Any]
) -> None:
    deployment = json.loads(json.dumps(next(one for one in APPLIED if one["kind"] == "Deployment")))
    place: Any = deployment
    for step in path:
        place = place[step]
    place.update(wrong)
    assert refusals(deployment) != []


def test_every_file_is_applied_or_an_example() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    assert kustomization.keys() == {"apiVersion", "kind", "resources", "images"}
    there = {path.name for path in KUBERNETES.iterdir()} - {"kustomization.yaml"}
    assert there == {*kustomization["resources"], *EXAMPLES}
    assert [image["name"] for image in kustomization["images"]] == ["tokentide"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_nothing_and_is_bounded(name: str) -> None:
    pod = PODS[name]["spec"]
    security = pod["securityContext"]
    user = f"{security['runAsUser']}:{security['runAsGroup']}"
    assert f"\nUSER {user}\n" in DOCKERFILE
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    # Without this every Service of the namespace becomes a variable, KAFKA_PORT among them.
    assert pod["enableServiceLinks"] is False
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        image = re.search(r"image: (tokentide:[\d.]+)", (ROOT / "docker-compose.yml").read_text())
        assert image is not None
        assert container["image"] == image[1]
        for mount in container.get("volumeMounts", ()):
            assert mount["readOnly"] is True
    for volume in pod["volumes"]:
        assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440


@pytest.mark.parametrize("name", ["tokentide-ingest", "tokentide-detect"])
def test_selectors_budgets_and_policies_select_the_pods(name: str) -> None:
    labels = PODS[name]["metadata"]["labels"]
    (deployment,) = [
        one for one in APPLIED if one["kind"] == "Deployment" and one["metadata"]["name"] == name
    ]
    (budget,) = [
        one
        for one in APPLIED
        if one["kind"] == "PodDisruptionBudget" and one["metadata"]["name"] == name
    ]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert deployment["spec"]["replicas"] > budget["spec"]["maxUnavailable"]
    (policy,) = [one for one in APPLIED if one["metadata"]["name"] == "tokentide" and "spec" in one]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    (notify,) = [one for one in APPLIED if one["metadata"]["name"] == "tokentide-notify"]
    selected = notify["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert selected == (name == "tokentide-detect")


@pytest.mark.parametrize("name", ["tokentide-ingest", "tokentide-detect"])
def test_ports_lead_to_the_page_of_a_worker(name: str) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    command = container["command"]
    port = int(command[command.index("--http-port") + 1])
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"
    assert PODS[name]["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    (policy,) = [one for one in APPLIED if one["metadata"]["name"] == "tokentide" and "spec" in one]
    (incoming,) = policy["spec"]["ingress"]
    assert incoming["ports"] == [{"port": port, "protocol": "TCP"}]


def test_pods_may_reach_the_addresses_that_they_are_given() -> None:
    (policy,) = [one for one in APPLIED if one["metadata"]["name"] == "tokentide" and "spec" in one]
    open_ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    given: set[int] = set()
    for name, container in CONTAINERS.items():
        if name.startswith("kubernetes"):
            text = " ".join(container.environment.values())
            given |= {int(port) for port in re.findall(r"\w:(\d{4,5})", text)}
    assert open_ports == given | {53}


def test_files_of_rules_are_accepted_as_they_stand(tmp_path: Path) -> None:
    (rules,) = [one for one in APPLIED if one["metadata"]["name"] == "tokentide-rules"]
    for name, text in rules["data"].items():
        (tmp_path / name).write_text(text)
    load_detect_file(tmp_path / "detect.yaml")
    assert load_budgets(tmp_path / "budgets.yaml") == ()
    assert load_slos(tmp_path / "slos.yaml") == ()


def test_autoscaling_asks_for_the_lag_of_our_group_up_to_the_partitions() -> None:
    (scaled,) = manifests("autoscaling.example.yaml")
    assert (scaled["apiVersion"], scaled["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    spec = scaled["spec"]
    assert spec.keys() <= SCALED
    assert spec["scaleTargetRef"]["name"] in PODS
    assert spec["maxReplicaCount"] == EVENTS.partitions
    settings = Settings()
    assert [trigger["type"] for trigger in spec["triggers"]] == ["kafka", "kafka"]
    for trigger in spec["triggers"]:
        lag = trigger["metadata"]
        assert lag.keys() <= LAG
        assert all(isinstance(value, str) for value in lag.values())
        assert lag["consumerGroup"] == settings.group
        assert (
            lag["bootstrapServers"]
            == CONTAINERS["kubernetes ingest"].environment["TOKENTIDE_KAFKA_BOOTSTRAP"]
        )
    topics = [trigger["metadata"]["topic"] for trigger in spec["triggers"]]
    assert topics == list(settings.topics)
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    assert all(partitions[name] <= spec["maxReplicaCount"] for name in topics)
    (config,) = spec["advanced"].values()
    schema = {
        "$ref": "#/$defs/io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior",
        "$defs": SCHEMA["$defs"],
    }
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(config["behavior"])) == []


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_kustomize_reads_the_files_as_we_do() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES)], check=True, capture_output=True, timeout=120
    )

    def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
        return {(one["kind"], one["metadata"]["name"]): one for one in objects}

    assert by_name(list(yaml.safe_load_all(done.stdout))) == by_name(APPLIED)
