"""Every process that a deployment starts: command, settings and secrets are the code's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import click

from tests.deploy.containers import CONTAINERS, INSTANCE, Container
from tests.each import each
from tests.places import ROOT
from tokentide_jobs.cli.root import cli
from tokentide_jobs.jobs.detect import worker as detect
from tokentide_jobs.jobs.ingest import worker as ingest
from tokentide_jobs.settings import Settings

SETTINGS: Final = Settings()
LONGEST_STOP_S: Final = 2 * SETTINGS.drain_s + max(ingest._LEAVE_S, detect._LEAVE_S)
"""Detect ends a step, saves its state and leaves the group; ingest drains and leaves."""

every = each("container", CONTAINERS.values(), ids=CONTAINERS)
WORKERS: Final = {name: one for name, one in CONTAINERS.items() if "worker" in one.command}
workers = each("container", WORKERS.values(), ids=WORKERS)


def test_every_deployment_prepares_ingests_and_detects() -> None:
    commands: Mapping[str, set[str]] = {
        deployment: {
            " ".join(one.command[1:3])
            for name, one in CONTAINERS.items()
            if name.startswith(deployment)
        }
        for deployment in ("compose", "kubernetes", "systemd")
    }
    for done in commands.values():
        assert done >= {"topics", "migrate --roles", "worker ingest", "worker detect"}


@every
def test_every_command_and_variable_exists(container: Container) -> None:
    program, *words = container.command
    assert program == "tokentide"
    command: click.Command = cli
    while words and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    # A command keeps the option of its help as it is first made.
    context = click.Context(command, help_option_names=cli.context_settings["help_option_names"])
    command.make_parser(context).parse_args(list(words))
    assert container.environment.keys() <= {setting.variable for setting in SETTINGS.items()}


@every
def test_what_a_process_is_given_is_accepted(container: Container) -> None:
    given = {
        name: value for name, value in container.environment.items() if not name.endswith("_FILE")
    }
    settings = Settings.from_env(given)
    if "TOKENTIDE_CLICKHOUSE_URL" in given:
        url = urlsplit(settings.clickhouse_url)
        assert url.password is None, "a password is a file"


@every
def test_files_and_secrets_that_are_named_are_mounted_and_no_other(container: Container) -> None:
    named = {value for name, value in container.environment.items() if name.endswith("_FILE")}
    assert named == container.secrets | container.files.keys()


@every
def test_the_account_is_the_one_of_the_password(container: Container) -> None:
    names = {path.rpartition("/")[2] for path in container.secrets} - {"user_hash_key"}
    if "TOKENTIDE_CLICKHOUSE_URL" in container.environment and names:
        account = urlsplit(container.environment["TOKENTIDE_CLICKHOUSE_URL"]).username
        owner = {"tokentide": "clickhouse_admin", "ingest": "clickhouse_ingest"}
        assert names == {owner[str(account)]}
        if account != "tokentide":
            assert (ROOT / f"sql/roles/{account}.sql").exists()
            assert "migrate" not in container.command


def test_ingest_alone_is_given_the_key_of_users_and_only_where_it_is_asked_for() -> None:
    with_key = {
        name
        for name, container in CONTAINERS.items()
        if "TOKENTIDE_USER_HASH_KEY_FILE" in container.environment
    }
    assert with_key == {name for name in CONTAINERS if name.endswith(" with users")}
    assert with_key == {
        "compose ingest with users",
        "kubernetes ingest with users",
        f"systemd tokentide-ingest@{INSTANCE}.service: worker with users",
    }


@workers
def test_a_worker_has_the_time_to_end(container: Container) -> None:
    assert container.stop_s >= LONGEST_STOP_S


@workers
def test_a_check_of_health_asks_what_a_worker_serves(container: Container) -> None:
    served = set(
        re.findall(r"^\| `(/\w+)` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    )
    port = container.command[container.command.index("--http-port") + 1]
    asked = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", " ".join(container.check))
    assert {number for number, _ in asked} <= {port}
    assert {path for _, path in asked} | set(container.probes.values()) <= served
