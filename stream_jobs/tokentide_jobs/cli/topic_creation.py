"""`tokentide topics`: create the Kafka topics that are missing, before anything writes to them.

Workers create them, too; this is for brokers where workers may not, and for producers that come
first. Safe to run at any time and from several machines at once.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import click

from tokentide_jobs.cli.arguments import json_option
from tokentide_jobs.cli.screen import say
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.io.kafka.admin import ensure_topics

__all__ = ["topics"]


@click.command(short_help="Create the Kafka topics that are missing.")
@json_option
@data_dir_option
def topics(as_json: bool, data_dir: Path | None) -> None:
    """Create the topics of the pipeline that are missing in Kafka, and name settings that differ.

    A topic that exists is never changed.
    """
    settings = find_target(data_dir, "kafka")
    report = asyncio.run(ensure_topics(settings.kafka_bootstrap))
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    for name in report.created:
        say(f"created {name}")
    for difference in report.differing:
        say(str(difference))
    if not report.created:
        say("every topic exists")
