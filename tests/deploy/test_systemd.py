"""deploy/systemd: known keys, files that are there, confined; and what systemd says of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.containers import INSTANCE, SYSTEMD, unit_lines
from tests.places import ROOT

KEYS: Final = json.loads((ROOT / "tests/deploy/data/systemd-keys.json").read_text())
UNITS: Final = sorted(path.name for path in SYSTEMD.glob("*.service"))
CONFINED: Final = "tokentide-.service.d/confined.conf"
USERS: Final = "tokentide-ingest@.service.d/users.conf.example"
NAMES: Final = [name.replace("@", f"@{INSTANCE}") for name in UNITS]

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not here: Debian's package systemd has it",
)


@pytest.mark.parametrize("name", [*UNITS, CONFINED, USERS])
def test_every_key_is_one_that_systemd_reads_in_its_section(name: str) -> None:
    lines = unit_lines(SYSTEMD / name)
    assert lines
    for section, key, _ in lines:
        assert key in KEYS[section], f"{name}: [{section}] {key}"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_confined_by_its_name(name: str) -> None:
    prefix = CONFINED.partition(".service.d/")[0]
    assert name.startswith(prefix)
    own = {key for _, key, _ in unit_lines(SYSTEMD / name)}
    assert not own & {key for _, key, _ in unit_lines(SYSTEMD / CONFINED)}


@pytest.mark.parametrize("name", [*UNITS, USERS])
def test_files_of_settings_have_their_example(name: str) -> None:
    for _, key, value in unit_lines(SYSTEMD / name):
        if key == "EnvironmentFile":
            example = SYSTEMD / f"{value.removeprefix('/etc/tokentide/')}.example"
            assert example.exists(), value
        if key == "LoadCredential":
            credential, _, path = value.partition(":")
            assert path == f"/etc/tokentide/{credential}"


@pytest.mark.parametrize("name", UNITS)
def test_a_worker_is_started_again_unless_a_setting_is_wrong(name: str) -> None:
    given = {key: value for _, key, value in unit_lines(SYSTEMD / name)}
    if "worker" in given["ExecStart"]:
        assert (given["Restart"], given["RestartPreventExitStatus"]) == ("always", "2")
        assert given["StartLimitIntervalSec"] == "0"
    else:
        assert given["Type"] == "oneshot"


def test_two_units_on_one_machine_have_pages_of_their_own() -> None:
    ports = {
        value.split("--http-port ")[1]
        for name in UNITS
        for _, key, value in unit_lines(SYSTEMD / name)
        if key == "ExecStart" and "--http-port" in value
    }
    assert ports == {"%i", "6060"}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Copy the units to where only these are found, with the program of this environment."""
    units = tmp_path / "units"
    shutil.copytree(SYSTEMD, units)
    program = Path(sys.executable).with_name("tokentide")
    for path in units.glob("*.service"):
        text = path.read_text()
        assert "/opt/tokentide/bin/tokentide" in text
        path.write_text(text.replace("/opt/tokentide/bin/tokentide", str(program)))
    (units / USERS).rename(units / USERS.removesuffix(".example"))
    return units


def analyzed(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.integration
@needs_systemd
def test_systemd_has_nothing_to_say_about_the_units(installed: Path) -> None:
    done = analyzed(installed, "verify", *NAMES)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.integration
@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_the_units_little_exposed(installed: Path, name: str) -> None:
    done = analyzed(installed, "security", "--offline=true", "--threshold=20", name)
    assert done.returncode == 0, done.stdout


@pytest.mark.integration
@needs_systemd
def test_systemd_names_a_key_that_it_does_not_know(installed: Path) -> None:
    confined = installed / CONFINED
    confined.write_text(confined.read_text().replace("ProtectHome=", "ProtectHom="))
    assert "ProtectHom" in analyzed(installed, "verify", *NAMES).stderr
