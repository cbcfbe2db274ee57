"""Write the part of Kubernetes' JSON schema that deploy/kubernetes is held against.

`python -m tests.deploy.kubernetes_schema DIRECTORY`, where DIRECTORY has the package
kubernetes-validate; `make check-kubernetes` installs it and compares. Unknown keys are refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

VERSION: Final = "1.37.0"
KINDS: Final = (
    "configmap-v1",
    "deployment-apps-v1",
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "secret-v1",
)
"""Files of the package, one a kind."""
USED_BY_KEDA: Final = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior"
_DEFINITIONS: Final = "/api/_definitions.json#/$defs/"


def cut(schema: Any) -> Any:
    """Return a schema without texts for people, with references into itself."""
    if isinstance(schema, dict):
        kept = {
            key: cut(value)
            for key, value in schema.items()
            if not (key == "description" and isinstance(value, str))
            and not key.startswith("x-kubernetes")
        }
        if "$ref" in kept:
            kept["$ref"] = kept["$ref"].replace(_DEFINITIONS, "#/$defs/")
        return kept
    return [cut(one) for one in schema] if isinstance(schema, list) else schema


def references(schema: Any) -> Iterator[str]:
    """Yield the name of every definition that a schema needs."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for one in schema:
            yield from references(one)


def written(package: Path) -> dict[str, Any]:
    """Return the schema by kind, with the definitions that it needs."""
    folder = package / f"kubernetes_validate/kubernetes-json-schema/v{VERSION}-local-strict"
    every = json.loads((folder / "_definitions.json").read_text())["$defs"]
    kinds = {}
    for name in KINDS:
        schema = json.loads((folder / f"{name}.json").read_text())
        schema["properties"].pop("status", None)  # the cluster's, not ours
        kinds[schema["properties"]["kind"]["enum"][0]] = cut(schema)
    wanted, needed = [USED_BY_KEDA, *references(list(kinds.values()))], {}
    while wanted:
        name = wanted.pop()
        if name not in needed:
            needed[name] = cut(every[name])
            wanted += references(needed[name])
    return {"version": VERSION, "kinds": kinds, "$defs": dict(sorted(needed.items()))}


if __name__ == "__main__":
    print(json.dumps(written(Path(sys.argv[1])), separators=(",", ":"), sort_keys=True))
