"""How long a statement of a reader may run: it may ask for less or more, and not for ever.

The engine gets a number that was read here, after everything that the request and the statement
say: nothing they write can lift it. A server's profiles do the same (`sql/roles`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..access.statement_limits import DEFAULT_READER_S, LONGEST_READER_S
from ..exceptions import ClickHouseError

if TYPE_CHECKING:
    from ..access.statement import Statement
    from .query_request import QueryRequest

_SETTING: Final = "max_execution_time"
_SECONDS: Final = re.compile(r"(?P<quote>'?)(?P<seconds>[0-9]{1,9}(?:\.[0-9]{0,9})?)(?P=quote)")


def limit_time(asked: QueryRequest, statement: Statement) -> None:
    """Give what a reader asks for an end, in the settings that the endpoint insists on.

    Raises:
        ClickHouseError: 452 when it is to run longer than a reader may, or for ever.
    """
    if not asked.user.readonly:
        return
    given = statement.settings.get(_SETTING, asked.settings.get(_SETTING))
    seconds = str(DEFAULT_READER_S) if given is None else _seconds(given)
    asked.forced_settings[_SETTING] = seconds


def _seconds(text: str) -> str:
    found = _SECONDS.fullmatch(text)
    if found is None or not 0 < float(found["seconds"]) <= LONGEST_READER_S:
        raise ClickHouseError(
            452,
            f"Setting {_SETTING} of accounts that only read is a number of seconds up to "
            f"{LONGEST_READER_S} and not 0, without one it is {DEFAULT_READER_S}",
        )
    return found["seconds"]
