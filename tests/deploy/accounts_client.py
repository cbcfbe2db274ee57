"""In the place of clickhouse-client: keeps accounts in a file, for the statements of accounts.sh.

It stops after a given number of statements, as a container that is ended does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any


def execute(statement: str, state: dict[str, Any]) -> None:
    """Do what ClickHouse does for one statement."""
    users: dict[str, Any] = state["users"]
    if found := re.fullmatch(
        r"CREATE USER OR REPLACE (\w+) IDENTIFIED WITH sha256_hash BY '(\w{64})'", statement
    ):
        users[found[1]] = {"hash": found[2], "roles": [], "default_roles": []}
    elif found := re.fullmatch(
        r"ALTER USER (\w+) IDENTIFIED WITH sha256_hash BY '(\w{64})'", statement
    ):
        users[found[1]]["hash"] = found[2]
    elif found := re.fullmatch(r"ALTER USER (\w+) RENAME TO (\w+)", statement):
        if found[2] in users:
            raise SystemExit(f"{found[2]} exists already")
        users[found[2]] = users.pop(found[1])
    elif found := re.fullmatch(r"GRANT (\w+) TO (\w+)", statement):
        users[found[2]]["roles"].append(found[1])
    elif found := re.fullmatch(r"SET DEFAULT ROLE (\w+) TO (\w+)", statement):
        if found[1] not in users[found[2]]["roles"]:
            raise SystemExit(f"{found[1]} is not granted to {found[2]}")
        users[found[2]]["default_roles"] = [found[1]]
    elif statement.startswith("INSERT INTO tokentide.tenant_access"):
        if all(user != "analyst" for user, _ in state["tenant_access"]):
            state["tenant_access"].append(["analyst", "*"])
    else:
        raise SystemExit(f"unknown statement: {statement}")


def main() -> None:
    """Answer one call of the script."""
    place, log = Path(os.environ["ACCOUNTS_STATE"]), Path(os.environ["ACCOUNTS_LOG"])
    if not os.environ.get("CLICKHOUSE_PASSWORD"):
        raise SystemExit("no password")
    state = json.loads(place.read_text())
    if sys.argv[-1] == "SELECT name FROM system.users":
        print("\n".join(state["users"]))
        return
    assert sys.argv[-1] == "--multiquery", sys.argv
    done = json.loads(log.read_text())
    statements = [one for text in sys.stdin.read().split(";") if (one := " ".join(text.split()))]
    for number, statement in enumerate(statements):
        if number == int(os.environ["ACCOUNTS_MOST"]):
            raise SystemExit("stopped")
        execute(statement, state)
        place.write_text(json.dumps(state))
        done.append(statement)
    log.write_text(json.dumps(done))


if __name__ == "__main__":
    main()
