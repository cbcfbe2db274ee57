"""The provisioned files of Grafana: data source, boards, alert rules, and who is notified."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.query import DATASOURCE
from tokentide_dashboards.rules.all_rules import GROUPS
from tokentide_dashboards.rules.notify import (
    ENVIRONMENT,
    contact_points,
    mute_times,
    policies,
    templates,
)

__all__ = ["FOLDER", "provisioned_files"]

FOLDER = "Tokentide"
"""Of boards and rules."""
_BOARDS = "/etc/tokentide/boards"
"""Where Grafana finds the boards: mount or copy json/ there."""

_SERVER: Mapping[str, tuple[str, str]] = {
    "TOKENTIDE_GRAFANA_CLICKHOUSE_HOST": ("clickhouse", "Host of ClickHouse"),
    "TOKENTIDE_GRAFANA_CLICKHOUSE_PORT": ("8123", "Port of its HTTP interface"),
    "TOKENTIDE_GRAFANA_CLICKHOUSE_USER": ("grafana", "Account with the role of grafana.sql"),
    "TOKENTIDE_GRAFANA_CLICKHOUSE_PASSWORD": ("", "Its password: set it as a secret"),
    "TOKENTIDE_GRAFANA_DATABASE": ("tokentide", "Database"),
}


def provisioned_files() -> Mapping[Path, str]:
    """Return the text of every file by its path below the package."""
    alerting = {
        "rules": {"groups": [_group(name) for name in GROUPS]},
        "contact-points": {"contactPoints": contact_points()},
        "policies": {"policies": policies()},
        "mute-times": {"muteTimes": mute_times()},
        "templates": {"templates": templates()},
    }
    files = {Path("alerting", f"{name}.yaml"): content for name, content in alerting.items()}
    files[Path("datasources/tokentide.yaml")] = {"datasources": [_datasource()]}
    files[Path("dashboards/tokentide.yaml")] = {"providers": [_provider()]}
    texts = {Path("provisioning") / path: _text(content) for path, content in files.items()}
    return {**texts, Path("provisioning/grafana.env"): _environment()}


def _group(name: str) -> Object:
    rules = [rule.provisioned() for rule in GROUPS[name]]
    return {"orgId": 1, "name": name, "folder": FOLDER, "interval": "1m", "rules": rules}


def _datasource() -> Object:
    return {
        "name": "Tokentide",
        "uid": DATASOURCE["uid"],
        "type": DATASOURCE["type"],
        "access": "proxy",
        "orgId": 1,
        "isDefault": True,
        "editable": False,
        "jsonData": {
            "host": "$TOKENTIDE_GRAFANA_CLICKHOUSE_HOST",
            "port": "$TOKENTIDE_GRAFANA_CLICKHOUSE_PORT",
            "protocol": "http",
            "username": "$TOKENTIDE_GRAFANA_CLICKHOUSE_USER",
            "defaultDatabase": "$TOKENTIDE_GRAFANA_DATABASE",
            "dialTimeout": "10",
            "queryTimeout": "30",
        },
        # `$NAME`, since `${NAME}` would look for variables in the password itself.
        "secureJsonData": {"password": "$TOKENTIDE_GRAFANA_CLICKHOUSE_PASSWORD"},
    }


def _provider() -> Object:
    return {
        "name": "tokentide",
        "orgId": 1,
        "type": "file",
        "folder": FOLDER,
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": _BOARDS},
    }


def _text(content: Object) -> str:
    head = "# Written by `python -m tokentide_dashboards`: change the builders.\n"
    body = yaml.dump({"apiVersion": 1, **content}, Dumper=_Dumper, sort_keys=False, width=10_000)
    return head + body


def _environment() -> str:
    lines = [
        "# What the files beside this one read from the environment of Grafana; all must be set."
    ]
    for name, (default, what) in {**_SERVER, **ENVIRONMENT}.items():
        lines += [f"# {what}", f"{name}={default}"]
    return "\n".join(lines) + "\n"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and never an alias."""

    def ignore_aliases(self, data: object) -> bool:
        """Repeat what is used twice."""
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)
