"""Passwords of any characters, through the scripts by which docker-compose.yml hands them on."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT

pytestmark = pytest.mark.integration


def test_passwords_of_any_characters_reach_clickhouse_as_their_hash(tmp_path: Path) -> None:
    password = "a'b\"<&>$x\\ ü"
    (tmp_path / "clickhouse_admin").write_text(password + "\n", encoding="utf-8")
    script = (ROOT / "deploy/compose/clickhouse-start.sh").read_text()
    for place, own in (
        ("/run/secrets", str(tmp_path)),
        ("/etc/clickhouse-server/users.d", str(tmp_path)),
        ("exec /entrypoint.sh", "exec true"),
    ):
        assert place in script
        script = script.replace(place, shlex.quote(own) if own.startswith("/") else own)
    subprocess.run(["bash", "-c", script], check=True, timeout=30)
    users = (tmp_path / "tokentide.xml").read_text()
    assert hashlib.sha256(password.encode()).hexdigest() in users


def test_the_password_of_grafana_reaches_its_variable_unchanged(tmp_path: Path) -> None:
    password = "a'b\"<&>$x\\ ü"
    (tmp_path / "clickhouse_grafana").write_text(password, encoding="utf-8")
    shell, option, line = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][
        "grafana"
    ]["entrypoint"]
    line = line.replace("$$", "$").replace("/run/secrets", shlex.quote(str(tmp_path)))
    line = line.replace("/run.sh", "printenv TOKENTIDE_GRAFANA_CLICKHOUSE_PASSWORD")
    shown = subprocess.run(
        [shell, option, line], check=True, capture_output=True, text=True, timeout=30
    )
    assert shown.stdout == password + "\n"
