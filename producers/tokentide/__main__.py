"""`python -m tokentide`: what the bare SDK offers at the command line.

`check` sends one test event and says what happened at every step; `hash-user` prints what a user's
rows carry as `user_hash`, under every key.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tokentide.privacy import hash_user_under_every_key
from tokentide.settings import Settings, SettingsError

_READER_GONE = 141
"""128 + SIGPIPE."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tokentide", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="send one test event and say what happened")
    check.add_argument("--bootstrap", help="instead of TOKENTIDE_KAFKA_BOOTSTRAP")
    check.add_argument("--topic", help="instead of TOKENTIDE_EVENTS_TOPIC")
    check.add_argument("--timeout", type=float, default=15.0, help="seconds for each step")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    users = commands.add_parser("hash-user", help="print a user's hashes under every key")
    users.add_argument("user", nargs="?", help="the id; read from standard input when absent")
    given = parser.parse_args(arguments)
    if given.command == "check":
        from tokentide.check import check as run_check

        chosen = {"bootstrap": given.bootstrap, "topic": given.topic}
        return run_check(chosen, timeout_s=given.timeout, as_json=given.json)
    return _hash_user(given.user)


def _hash_user(user: str | None) -> int:
    try:
        settings = Settings.load()
    except SettingsError as exc:
        print(f"tokentide: {exc}", file=sys.stderr)
        return 2
    if not settings.user_hash_key:
        print("tokentide: TOKENTIDE_USER_HASH_KEY is not set: give the keys", file=sys.stderr)
        return 2
    hashes = hash_user_under_every_key(settings, sys.stdin.read().strip() if user is None else user)
    if not hashes:
        print("tokentide: the user id is empty: give one", file=sys.stderr)
        return 2
    for user_hash in hashes:
        print(user_hash)
    return 0


def run() -> None:
    """Leave the process with the exit code: 141, as other programs, in front of a `head`."""
    if sys.stdout is None:
        print("tokentide: standard output is closed; `>/dev/null` leaves it out", file=sys.stderr)
        sys.exit(2)
    try:
        code = main(sys.argv[1:])
    except BrokenPipeError:
        code = _READER_GONE
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _READER_GONE
    if code == _READER_GONE:
        # What is left in the buffer would be written once more, with a traceback, at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


if __name__ == "__main__":
    run()
