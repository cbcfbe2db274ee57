"""Passwords of any characters, through the scripts by which docker-compose.yml hands them on."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT
from tokentide_jobs.settings.user_hash_key import user_hasher

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


def test_the_key_of_users_that_is_written_is_one_that_ingest_takes(tmp_path: Path) -> None:
    hashed = set()
    for _again in range(2):  # what is there is kept
        subprocess.run(
            ["sh", str(ROOT / "deploy/compose/make-secrets.sh"), str(tmp_path / "secrets")],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        hashed.add(user_hasher(tmp_path / "secrets/user_hash_key")("ann@example.org"))
    (one,) = hashed
    assert one is not None
