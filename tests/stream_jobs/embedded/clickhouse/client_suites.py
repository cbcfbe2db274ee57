"""Runs what ClickHouse's own clients test themselves with, against the embedded ClickHouse.

`make clickhouse-connect CLICKHOUSE_CONNECT_DIR=…` and `make clickhouse-go CLICKHOUSE_GO_DIR=…`,
each with a clone of the client's repository, of which a copy is used. What does not pass is listed
in docs/embedded-clickhouse.md with its reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess

_ONE_ACCOUNT = [{"name": "default"}]
_MAX_RESULT_MB = (
    "1024"  # clickhouse-connect reads a result of 520 MB that is held until it is whole
)

# Its tests ask for the version and make their database by the native protocol, even those of HTTP.
_GO_OVER_HTTP = (
    ("\tport := env.Port\n", "\tport := env.HttpPort\n"),
    (
        "clickhouse.Open(&clickhouse.Options{\n\t\tAddr:",
        "clickhouse.Open(&clickhouse.Options{\n\t\tProtocol: clickhouse.HTTP,\n\t\tAddr:",
    ),
    (
        'getConnection(env, "default", nil, nil, nil)',
        'getHTTPConnection(env, "", "default", nil, nil, nil)',
    ),
)
_GO_PACKAGES = ("tests", "tests/std", "tests/issues")
_GO_FUNCTION = re.compile(r"^(?=func )", re.MULTILINE)
_GO_HTTP = re.compile(r"TestProtocols\(|clickhouse\.HTTP\b|GetConnectionHTTP\(")


def run_connect(clone: Path, scratch: Path, server: Mapping[str, str]) -> int:
    """Run the integration tests of clickhouse-connect; returns pytest's exit code."""
    shutil.copytree(clone / "tests", scratch / "tests")  # the client itself is the installed one
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["--override-ini", "asyncio_default_fixture_loop_scope=session"]
    command += ["--rootdir", str(scratch), "tests/integration_tests"]
    names = {f"CLICKHOUSE_CONNECT_TEST_{name}": value for name, value in server.items()}
    return subprocess.run(command, cwd=scratch, env={**os.environ, **names}, check=False).returncode


def run_go(clone: Path, scratch: Path, server: Mapping[str, str]) -> int:
    """Run those tests of clickhouse-go that use HTTP; returns 0 when all pass."""
    shutil.copytree(clone, scratch / "go", ignore=shutil.ignore_patterns(".git"))
    helpers = scratch / "go" / "tests" / "utils.go"
    text = helpers.read_text(encoding="utf-8")
    for old, new in _GO_OVER_HTTP:
        if old not in text:
            raise SystemExit(f"{clone}: tests/utils.go has changed: it does not hold {old!r}")
        text = text.replace(old, new, 1)
    helpers.write_text(text, encoding="utf-8")
    names = {"CLICKHOUSE_HOST": server["HOST"], "CLICKHOUSE_HTTP_PORT": server["PORT"]}
    go = shutil.which("go")
    if go is None:
        raise SystemExit("Go is not installed: its tests are built from source")
    ended: dict[str, str] = {}
    for package in _GO_PACKAGES:
        tests = "|".join(_go_tests_of_http(scratch / "go" / package))
        ran = subprocess.run(
            [go, "test", "-json", "-count=1", "-timeout=20m", f"-run=^({tests})$/(?i)http", "."],
            cwd=scratch / "go" / package,
            env={**os.environ, **names, "CLICKHOUSE_USE_DOCKER": "false"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        for line in ran.stdout.splitlines():
            event = json.loads(line)
            if event["Action"] in ("pass", "fail", "skip") and "Test" in event:
                ended[f"{package}.{event['Test']}"] = event["Action"]
    # A test with subtests ends as the worst of them; only the innermost are counted.
    innermost = {
        name: how
        for name, how in ended.items()
        if not any(other.startswith(f"{name}/") for other in ended)
    }
    for name, how in sorted(innermost.items()):
        if how == "fail":
            print(f"FAILED {name}")
    counts = Counter(innermost.values())
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return 1 if counts["fail"] else 0


def _go_tests_of_http(package: Path) -> list[str]:
    """Name the tests that use HTTP: the others end the whole run where port 9000 is closed."""
    found: list[str] = []
    for source in sorted(package.glob("*_test.go")):
        for function in _GO_FUNCTION.split(source.read_text(encoding="utf-8")):
            named = re.match(r"func (Test\w+)\(", function)
            if named is not None and named[1] != "TestMain" and _GO_HTTP.search(function):
                found.append(named[1])
    return found


SUITES: Mapping[str, Callable[[Path, Path, Mapping[str, str]], int]] = {
    "clickhouse-connect": run_connect,
    "clickhouse-go": run_go,
}


def main() -> int:
    """Run the suite that is named, from the clone that is named."""
    suite, clone = sys.argv[1], Path(sys.argv[2]).resolve()
    if not (clone / "tests").is_dir():
        raise SystemExit(f"{clone} is no clone of {suite}: it has no folder tests")
    with tempfile.TemporaryDirectory(prefix="client-suite-") as made:
        scratch = Path(made)
        users_file = scratch / "users.json"
        users_file.write_text(json.dumps(_ONE_ACCOUNT), encoding="utf-8")
        options = ["--users-file", str(users_file), "--max-result-mb", _MAX_RESULT_MB]
        with ClickHouseProcess.start(scratch / "data", options=options) as server:
            host, port = server.url.removeprefix("http://").split(":")
            return SUITES[suite](clone, scratch, {"HOST": host, "PORT": port})


if __name__ == "__main__":
    sys.exit(main())
