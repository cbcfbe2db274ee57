"""aiokafka's lines about our connections stay out of the host's log; the host's own do not."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import aiokafka
import pytest

from tokentide.delivery.quiet import ON_FAILURE, QuietFilter, quiet

NAMES = [
    name
    for name, logger in logging.root.manager.loggerDict.items()
    if name.partition(".")[0] == aiokafka.__name__ and isinstance(logger, logging.Logger)
]


def log_everywhere(text: str) -> None:
    for name in NAMES:
        logging.getLogger(name).debug("%s", text)
        logging.getLogger(name).info("%s", text)
        logging.getLogger(name).error("%s", text)


def on_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, aiokafka.__name__)
    for name in NAMES:  # a worker of the pipeline quietens one of them
        caplog.set_level(logging.DEBUG, name)


def test_no_line_of_any_level_or_logger_passes_inside_the_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work() -> None:
        with quiet():
            log_everywhere("ours")
            on_a_thread(lambda: log_everywhere("the host's"))
        log_everywhere("afterwards")

    on_a_thread(work)
    assert len(NAMES) > 5
    assert caplog.messages == ["the host's"] * 3 * len(NAMES) + ["afterwards"] * 3 * len(NAMES)


def test_a_host_whose_records_know_no_process_and_no_thread_sees_no_line_of_ours_either(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "logProcesses", False)
    monkeypatch.setattr(logging, "logThreads", False)
    with quiet():
        log_everywhere("ours")
        on_a_thread(lambda: log_everywhere("the host's"))
    assert caplog.messages == ["the host's"] * 3 * len(NAMES)


def test_nothing_stays_behind() -> None:
    with quiet(), quiet():
        pass
    assert not [
        one
        for name in NAMES
        for one in logging.getLogger(name).filters
        if isinstance(one, QuietFilter)
    ]


def test_filters_of_the_process_that_forked_this_one_are_taken_out() -> None:
    inherited = QuietFilter()
    inherited.owner = (-1, threading.get_ident())
    logger = logging.getLogger("aiokafka.conn")
    logger.addFilter(inherited)
    with quiet():
        assert inherited not in logger.filters


def test_warnings_go_to_the_counter_of_that_task_and_of_those_it_starts() -> None:
    failures: list[str] = []

    async def connection() -> None:
        ON_FAILURE.set(lambda text: failures.append(f"connection: {text}"))
        await asyncio.create_task(attempt("one"))
        logging.getLogger("aiokafka.conn").info("no failure")

    async def attempt(text: str) -> None:
        logging.getLogger("aiokafka.conn").warning(text)

    async def both() -> None:
        await asyncio.gather(connection(), attempt("of the reader"))

    with quiet():
        asyncio.run(both())
    assert failures == ["connection: one"]
