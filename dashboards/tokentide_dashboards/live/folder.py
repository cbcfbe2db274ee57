"""The folder of our boards: which one it is in a Grafana.

Files name a folder by its title, and Grafana makes one with a uid of its own; `push` makes one with
our uid where there is none of that title.
"""

from __future__ import annotations

from typing import Final

from tokentide_dashboards.rules.files import FOLDER
from tokentide_jobs.io.grafana.api import Grafana, list_of

__all__ = ["FOLDER_UID", "folder_for_boards"]

FOLDER_UID: Final = "tokentide"
_MOST_FOLDERS: Final = 1_000


def folder_for_boards(grafana: Grafana) -> str | None:
    """Return the uid of the folder that boards go into; None: it is to be made.

    Raises:
        GrafanaRefused: Grafana does not list its folders.
        GrafanaUnreachable: Grafana does not answer.
    """
    ours = [
        str(one.get("uid"))
        for one in list_of(grafana, f"/folders?limit={_MOST_FOLDERS}")
        if one.get("uid") == FOLDER_UID or one.get("title") == FOLDER
    ]
    return FOLDER_UID if FOLDER_UID in ours else next(iter(sorted(ours)), None)
