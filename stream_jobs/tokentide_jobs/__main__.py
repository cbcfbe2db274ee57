"""`python -m tokentide_jobs` is the `tokentide` command, by this interpreter whatever PATH says."""

from __future__ import annotations

from tokentide_jobs.cli.main import run

if __name__ == "__main__":
    run()
