"""The keys that Grafana reads in provisioned files: it drops all others without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["unknown_keys"]


def _named(names: str) -> dict[str, None]:
    """Return keys whose values are taken as they are."""
    return dict.fromkeys(names.split())


_QUERY = {
    "refId": None,
    "queryType": None,
    "relativeTimeRange": {"from": None, "to": None},
    "datasourceUid": None,
    "model": None,
}
_RULE = {
    **_named(
        "uid title condition dashboardUid panelId noDataState "
        "execErrState for keepFiringFor "
        "missing_series_evals_to_resolve annotations labels isPaused "
        "notification_settings record"
    ),
    "data": [_QUERY],
}
_ROUTE: dict[str, Any] = {
    **_named(
        "receiver group_by object_matchers matchers "
        "mute_time_intervals active_time_intervals continue group_wait "
        "group_interval repeat_interval"
    ),
}
_ROUTE["routes"] = [_ROUTE]
_KEYS: Mapping[str, Any] = {
    "apiVersion": None,
    "groups": [{"orgId": None, "name": None, "folder": None, "interval": None, "rules": [_RULE]}],
    "contactPoints": [
        {
            "orgId": None,
            "name": None,
            "receivers": [
                {"uid": None, "type": None, "settings": None, "disableResolveMessage": None}
            ],
        }
    ],
    "policies": [{"orgId": None, **_ROUTE}],
    "muteTimes": [
        {
            "orgId": None,
            "name": None,
            "time_intervals": [
                {
                    "times": [{"start_time": None, "end_time": None}],
                    **_named("weekdays days_of_month months years location"),
                }
            ],
        }
    ],
    "templates": [_named("orgId name template")],
    "datasources": [
        {
            **_named("name uid type access orgId isDefault editable version"),
            "jsonData": _named(
                "host port protocol secure username defaultDatabase "
                "defaultTable path dialTimeout queryTimeout connMaxLifetime "
                "maxIdleConns maxOpenConns tlsSkipVerify"
            ),
            "secureJsonData": _named("password tlsCACert tlsClientCert tlsClientKey"),
        }
    ],
    "providers": [
        {
            **_named(
                "name orgId type folder folderUid disableDeletion "
                "updateIntervalSeconds allowUiUpdates"
            ),
            "options": {"path": None, "foldersFromFilesStructure": None},
        }
    ],
}


def unknown_keys(content: object, known: Any = _KEYS, place: str = "") -> Iterator[str]:
    """Yield each key that Grafana would drop, by its place in the file."""
    if known is None:
        return
    if isinstance(known, list):
        for number, one in enumerate(content if isinstance(content, list) else [content]):
            yield from unknown_keys(one, known[0], f"{place}[{number}]")
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if key in known:
                yield from unknown_keys(value, known[key], f"{place}.{key}".lstrip("."))
            else:
                yield f"{place}.{key}".lstrip(".")
