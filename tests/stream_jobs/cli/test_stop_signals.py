"""A request to stop arrives wherever the main thread is, and once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from tokentide_jobs.cli import exit_codes
from tokentide_jobs.cli import main as program
from tokentide_jobs.cli.stop_signals import StopRequested, signals_raise


@pytest.fixture
def default_handlers() -> Iterator[None]:
    former = {which: signal.getsignal(which) for which in (signal.SIGTERM, signal.SIGHUP)}
    for which in former:  # SIGHUP is ignored under nohup, and stays so
        signal.signal(which, signal.SIG_DFL)
    yield
    for which, handler in former.items():
        signal.signal(which, handler)


@pytest.mark.usefixtures("default_handlers")
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_is_not_lost_in_a_callback_of_a_loop(which: signal.Signals) -> None:
    async def ask() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, which)
        await asyncio.sleep(0)
        await asyncio.Event().wait()

    with signals_raise(), pytest.raises(StopRequested):
        asyncio.run(asyncio.wait_for(ask(), 5))


def test_nor_in_a_task() -> None:
    async def ask() -> None:
        signal.raise_signal(signal.SIGTERM)

    async def main() -> None:
        await asyncio.gather(ask(), return_exceptions=True)

    with signals_raise(), pytest.raises(StopRequested):
        asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_request_that_python_drops_in_a_finalizer_is_raised_at_the_next_look() -> None:
    class Asks:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with signals_raise() as stop:
        stop.check()
        Asks()
        with pytest.raises(StopRequested):
            stop.check()


def test_a_second_request_does_not_interrupt_the_stop() -> None:
    with signals_raise():
        with pytest.raises(StopRequested):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("default_handlers")
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGHUP])
def test_any_command_ends_as_after_ctrl_c(
    which: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    def command(_arguments: object) -> int:
        try:
            signal.raise_signal(which)
        finally:
            ended.append("in order")
        return 0

    monkeypatch.setattr(program, "main", command)
    with pytest.raises(SystemExit) as left:
        program.run()
    assert left.value.code == exit_codes.EXIT_INTERRUPTED
    assert ended == ["in order"]
