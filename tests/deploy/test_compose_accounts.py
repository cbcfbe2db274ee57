"""deploy/compose/accounts.sh: accounts come once, with their roles; what a person changes stays.

The embedded engine has no accounts: a program in the place of clickhouse-client keeps them. It
knows the statements of the script and no other; that ClickHouse knows them, its parser says.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.places import ROOT

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

ACCOUNTS: Final = ("ingest", "grafana", "analyst")
CLIENT: Final = Path(__file__).with_name("accounts_client.py")


class Server:
    """Accounts in a file, a directory of secrets, and the script as it stands."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "statements.json"
        self.state = directory / "state.json"
        self.state.write_text(json.dumps({"users": {"tokentide": {}}, "tenant_access": []}))
        self.log.write_text("[]")
        program = directory / "clickhouse-client"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {CLIENT} "$@"\n')
        program.chmod(0o755)
        for account in ("admin", *ACCOUNTS):
            self.password(account, f"first-{account}")

    def password(self, account: str, password: str) -> None:
        (self.directory / f"clickhouse_{account}").write_text(password + "\n")

    def holds(self) -> dict[str, Any]:
        return dict(json.loads(self.state.read_text()))

    def change(self, state: dict[str, Any]) -> None:
        self.state.write_text(json.dumps(state))

    def run(self, most_statements: int = 1_000) -> bool:
        script = (ROOT / "deploy/compose/accounts.sh").read_text()
        assert "/run/secrets" in script
        script = script.replace("/run/secrets", str(self.directory))
        done = subprocess.run(
            ["bash", "-c", script],
            env={
                "PATH": f"{self.directory}:{os.environ['PATH']}",
                "ACCOUNTS_STATE": str(self.state),
                "ACCOUNTS_LOG": str(self.log),
                "ACCOUNTS_MOST": str(most_statements),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 or most_statements < 1_000, done.stderr
        return done.returncode == 0


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def complete(prefix: str = "first") -> dict[str, Any]:
    users = {
        account: {
            "hash": sha256(f"{prefix}-{account}".encode()).hexdigest(),
            "roles": [f"tokentide_{account}"],
            "default_roles": [f"tokentide_{account}"],
        }
        for account in ACCOUNTS
    }
    return {"users": {"tokentide": {}, **users}, "tenant_access": [["analyst", "*"]]}


def test_the_first_run_makes_every_account_with_its_role(server: Server) -> None:
    server.run()
    assert server.holds() == complete()


def test_another_run_gives_the_password_and_no_right_back(server: Server) -> None:
    server.run()
    state = server.holds()
    state["users"]["grafana"]["roles"] = []
    state["users"]["ingest"]["roles"].append("of_a_person")
    state["tenant_access"] = [["analyst", "acme"]]
    server.change(state)
    server.password("grafana", "second 'one'")

    server.run()

    state["users"]["grafana"]["hash"] = sha256(b"second 'one'").hexdigest()
    assert server.holds() == state


def test_a_run_that_was_stopped_anywhere_is_completed_by_the_next(server: Server) -> None:
    empty, stopped = server.holds(), 0
    for most in range(1_000):
        server.change(empty)
        if server.run(most_statements=most):
            break
        stopped += 1
        server.run()
        assert server.holds() == complete(), f"stopped after {most} statements"
    assert stopped > 10


def test_clickhouse_knows_every_statement(server: Server, sql_client: Client) -> None:
    server.run()
    server.run()
    statements = json.loads(server.log.read_text())
    assert {re.sub(r" \w*(ingest|grafana|analyst).*", "", one) for one in statements} >= {
        "ALTER USER",
        "CREATE USER OR REPLACE",
    }
    for statement in statements:
        sql_client.query("SELECT formatQuery({sql:String})", parameters={"sql": statement})
