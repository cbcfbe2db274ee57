"""Rules that all boards keep, beyond Grafana's types. Each problem names board and panel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tokentide_dashboards.check.keys import wrong_keys
from tokentide_dashboards.check.macros import MACROS, arguments
from tokentide_dashboards.check.tables import tables
from tokentide_dashboards.kit.json_value import Object
from tokentide_dashboards.kit.query import DATASOURCE, TABLE, TIME_SERIES

__all__ = ["problems", "queries"]

OVER_TIME = {"timeseries", "heatmap", "state-timeline"}
RATIOS = {"percentunit", "percent"}
MADE_UNIT = re.compile(r"(suffix|prefix|currency|time|si|count|bool):.+")
VARIABLE = re.compile(r"\$\{?([A-Za-z]\w*)")
CONDITIONAL = "$__conditionalAll("
QUOTED = re.compile(r"\$tokentide\$.*?\$tokentide\$", re.DOTALL)
HAS_N = re.compile(r"\bAS n(_\w+)?\b")
LINKED = re.compile(r"/d/([\w-]+)\?")


def problems(boards: Sequence[Object]) -> list[str]:
    """Return every problem of these boards."""
    found = [
        f"{what} {value!r} stands on {count} boards"
        for what in ("uid", "title")
        for value, count in Counter(board[what] for board in boards).items()
        if count > 1
    ]
    uids = {board["uid"] for board in boards}
    for board in boards:
        found += [f"{board['uid']}: {problem}" for problem in _of_board(board, uids)]
    return found


def queries(board: Object) -> Iterator[tuple[str, Object, str]]:
    """Yield every query of a board: what it is for, the panel or variable, and its SQL."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable, variable["query"]
    for layer in board["annotations"]["list"]:
        if "target" in layer:
            yield f"annotation {layer['name']}", layer, layer["target"]["rawSql"]
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r} {target['refId']}", panel, target["rawSql"]


def _of_board(board: Object, uids: set[str]) -> Iterator[str]:
    yield from wrong_keys(board)
    if len(board["uid"]) > 40:
        yield f"the uid has {len(board['uid'])} characters: Grafana takes 40"
    names = Counter(variable["name"] for variable in board["templating"]["list"])
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    for what, counts in (
        ("variable", names),
        ("panel title", Counter(panel["title"] for panel in panels)),
        ("panel id", Counter(panel["id"] for panel in board["panels"])),
    ):
        yield from _twice(what, counts)
    yield from _outside_the_grid(board["panels"])
    for place, _of, sql in queries(board):
        yield from (f"{place}: {problem}" for problem in _of_query(sql, set(names)))
    for panel in panels:
        yield from (f"panel {panel['title']!r}: {one}" for one in _of_panel(panel, uids))


def _twice(what: str, counts: Counter[Any]) -> Iterator[str]:
    for one, count in counts.items():
        if count > 1:
            yield f"{what} {one!r} stands {count} times"


def _outside_the_grid(panels: Sequence[Object]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            if x >= 24:
                yield f"panel {panel['title']!r} reaches beyond 24 columns"
                break
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    yield f"panel {panel['title']!r} lies over {other!r}"
                    return


def _of_query(sql: str, names: set[str]) -> Iterator[str]:
    for name in re.findall(r"\$__(\w+)", sql):
        if name not in MACROS and name != "conditionalAll":
            yield f"the macro $__{name} is none of the plugin's 4.20"
    bare = _without_deciders(QUOTED.sub("''", sql))
    for name in sorted(set(VARIABLE.findall(bare)) - {"tokentide"}):
        yield f"${name} is put into the SQL as text: filter by any_of or chosen"
    for name in sorted(set(VARIABLE.findall(sql)) - names - {"tokentide"}):
        yield f"the variable {name} is not defined on this board"
    if re.search(r"\b(now|now64|today)\(", sql):
        yield "the time is asked of the server: write $__toTime, which a reader can choose"


def _without_deciders(sql: str) -> str:
    """Leave out the variable that decides each condition: it is looked at, never put in."""
    at = sql.rfind(CONDITIONAL)
    while at != -1:
        closed = arguments(sql, at + len(CONDITIONAL) - 1)
        if closed is not None and len(closed[0]) == 2:
            sql = f"{sql[:at]}({closed[0][0]}){sql[closed[1] :]}"
        at = sql.rfind(CONDITIONAL, 0, at)
    return sql


def _of_panel(panel: Object, uids: set[str]) -> Iterator[str]:
    if not panel["description"]:
        yield "description is missing: what does it mean, what is to be done?"
    yield from _bad_links(panel, uids)
    if panel["type"] == "text":
        return
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("noValue"):
        yield "noValue is missing: why is it empty, what is to be done?"
    yield from _bad_units(panel)
    for reducer in _reducers(panel["options"]):
        if reducer not in tables()["reducers"]:
            yield f"the reducer {reducer!r} is none of Grafana's"
    thresholds = defaults["thresholds"]["steps"]
    values = [step["value"] for step in thresholds[1:]]
    if thresholds[0]["value"] is not None or values != sorted(values):
        yield "thresholds do not begin with null and ascend"
    expected = TIME_SERIES if panel["type"] in OVER_TIME else TABLE
    for target in panel["targets"]:
        if target["format"] != expected:
            yield f"query {target['refId']} has format {target['format']}, not {expected}"
        if target["datasource"] != DATASOURCE:
            yield f"query {target['refId']} asks another data source"
    ids = Counter(target["refId"] for target in panel["targets"])
    yield from _twice("refId", ids)


def _bad_units(panel: Object) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    units = [defaults.get("unit")]
    for override in panel["fieldConfig"]["overrides"]:
        units += [one["value"] for one in override["properties"] if one["id"] == "unit"]
    for unit in units:
        if unit not in tables()["units"] and not MADE_UNIT.fullmatch(str(unit)):
            yield f"the unit {unit!r} is none of Grafana's"
    has_n = any(HAS_N.search(target["rawSql"]) for target in panel["targets"])
    if RATIOS & set(units) and not has_n:
        yield "a ratio without n, out of how many it is: select it AS n"


def _bad_links(panel: Object, uids: set[str]) -> Iterator[str]:
    config = panel["fieldConfig"]
    links = list(config["defaults"].get("links", []))
    for override in config["overrides"]:
        for one in override["properties"]:
            links += one["value"] if one["id"] == "links" else []
    for link in links:
        board = LINKED.match(link["url"])
        if board and board[1] not in uids:
            yield f"the link {link['title']!r} leads to no board: {board[1]}"


def _reducers(options: Object) -> list[str]:
    found: list[str] = []
    for part in ("reduceOptions", "legend"):
        calcs = options.get(part, {}).get("calcs", [])
        found += calcs
    return found
