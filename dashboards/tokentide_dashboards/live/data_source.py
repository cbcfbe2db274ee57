"""Grafana itself, who asks it, the ClickHouse plugin and our data source."""

from __future__ import annotations

import re
from typing import Any, Final

from tokentide_dashboards.kit.query import DATASOURCE, PLUGIN_VERSION
from tokentide_dashboards.live.finding import Finding, is_away, not_known
from tokentide_jobs.io.grafana.api import Grafana, GrafanaRefused, GrafanaUnreachable

__all__ = ["data_source", "health", "plugin", "signed_in"]

_NUMBERS: Final = re.compile(r"\d+")
_PROVISION: Final = (
    "mount provisioning/ into Grafana, and set the variables of provisioning/grafana.env"
)


def health(grafana: Grafana) -> Finding:
    """Report whether Grafana answers, and has its own database."""
    try:
        answer = grafana.get("/health")
    except (GrafanaRefused, GrafanaUnreachable) as exc:
        return Finding("Grafana", "problem", str(exc), is_unreachable=is_away(exc))
    database = _text(answer, "database")
    if database != "ok":
        what = repr(database) if database else "nothing that Grafana says"
        return Finding(
            "Grafana", "problem", f"{grafana.address} says of its own database: {what}",
            "see Grafana's log",
        )  # fmt: skip
    version = _text(answer, "version") or "of a version it does not say"
    return Finding("Grafana", "ok", f"{grafana.address} answers, Grafana {version}")


def signed_in(grafana: Grafana) -> Finding:
    """Report whether the token lets us in, which `/api/health` does not ask for."""
    try:
        organization = _text(grafana.get("/org"), "name")
        if not organization:
            words = f"{grafana.address} does not answer as Grafana when it is asked who signed in"
            return Finding("token", "unknown", words, "is TOKENTIDE_GRAFANA_URL right?")
    except GrafanaRefused as exc:
        if exc.status != 403:
            return Finding("token", "problem", str(exc))
        # Who is refused for a permission has been let in.
        organization = ""
    except GrafanaUnreachable as exc:
        return not_known("token", exc)
    where = f" to the organization {organization}" if organization else ""
    return Finding("token", "ok", f"Grafana takes it{where}")


def plugin(grafana: Grafana) -> Finding:
    """Report whether the plugin is there, and new enough for our boards."""
    name = str(DATASOURCE["type"])
    try:
        answer = grafana.get(f"/plugins/{name}/settings")
    except GrafanaRefused as exc:
        if exc.status != 404:
            return not_known("plugin", exc)
        return Finding(
            "plugin", "problem", f"{name} is not installed",
            f"grafana cli plugins install {name}",
        )  # fmt: skip
    except GrafanaUnreachable as exc:
        return not_known("plugin", exc)
    info = answer.get("info") if isinstance(answer, dict) else None
    version = _text(info, "version")
    if not _NUMBERS.match(version):
        return Finding("plugin", "unknown", f"{name} does not say its version")
    if _release(version) < _release(PLUGIN_VERSION):
        return Finding(
            "plugin", "problem", f"{name} {version}: the boards need {PLUGIN_VERSION} or newer",
            "install a newer one",
        )  # fmt: skip
    return Finding("plugin", "ok", f"{name} {version}")


def data_source(grafana: Grafana) -> Finding:
    """Report whether the data source that boards and rules name is there and reaches ClickHouse."""
    uid = str(DATASOURCE["uid"])
    try:
        found = grafana.get(f"/datasources/uid/{uid}")
    except GrafanaRefused as exc:
        if exc.status == 404:
            words = f"there is none with the uid {uid}"
            return Finding("data source", "problem", words, _PROVISION)
        if exc.status != 403:
            return not_known("data source", exc)
        # A viewer may not see its settings, and may ask how it is.
        found = {"type": DATASOURCE["type"]}
    except GrafanaUnreachable as exc:
        return not_known("data source", exc)
    kind = _text(found, "type")
    if kind != DATASOURCE["type"]:
        return Finding(
            "data source", "problem", f"{uid} is of the type {kind!r}, not {DATASOURCE['type']!r}",
            f"give that one another uid; {_PROVISION}",
        )  # fmt: skip
    try:
        answer = grafana.get(f"/datasources/uid/{uid}/health")
    except GrafanaRefused as exc:
        if exc.status == 400 and _text(exc.body, "status"):
            return _does_not_work(uid, exc.detail)
        return not_known("data source", exc)
    except GrafanaUnreachable as exc:
        return not_known("data source", exc)
    if _text(answer, "status") != "OK":
        return _does_not_work(uid, _text(answer, "message"))
    return Finding("data source", "ok", f"{uid}: {_text(answer, 'message') or 'it works'}")


def _does_not_work(uid: str, detail: str) -> Finding:
    return Finding(
        "data source", "problem", f"{uid} does not work: {detail or 'it does not say why'}",
        "check the address, the account and the password of ClickHouse that Grafana has "
        "(TOKENTIDE_GRAFANA_CLICKHOUSE_* in Grafana's environment)",
    )  # fmt: skip


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(version.partition("-")[0])[:3])


def _text(answer: Any, name: str) -> str:
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, str) else ""
