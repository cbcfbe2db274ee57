"""Forks, children and exits, each in a fresh interpreter that writes what it sends to a file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.producers.sdk_script import Script

pytestmark = pytest.mark.integration


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


EACH = list(range(100))


def test_what_is_queued_at_exit_is_delivered(script: Script) -> None:
    script.run("emit('main', 5000)")
    assert script.numbers_by_tenant() == {"main": list(range(5000))}


def test_exit_after_an_unhandled_exception_delivers_too(script: Script) -> None:
    script.run("import atexit; atexit.register(lambda: emit('atexit')); emit('main')")
    assert script.numbers_by_tenant() == {"main": EACH, "atexit": EACH}


def test_a_mark_tells_the_process_that_made_it_from_its_children(script: Script) -> None:
    script.run(
        """
        from tokentide.delivery import forks
        marks = [forks.new_process_mark(), forks._ByProcessId()]
        assert [mark[0] for mark in marks] == [1, 1]
        pid = os.fork()
        if not pid:
            os._exit(sum(mark[0] for mark in marks))
        wait(pid)
        assert [mark[0] for mark in marks] == [1, 1]
        """
    )


def test_exit_with_a_dead_broker_ends_in_time_with_one_line(script: Script) -> None:
    started_s = time.monotonic()
    stderr = script.run(
        """
        for n in range(1000):
            telemetry.emit({"type": "request"})
        while not telemetry.stats().retries:
            time.sleep(0.01)
        """,
        prelude="""
import time, tokentide
telemetry = tokentide.Telemetry(bootstrap="127.0.0.1:1", exit_timeout_s=0.5)
""",
    )
    assert time.monotonic() - started_s < 10
    lines = [line for line in stderr.splitlines() if "not delivered" in line]
    assert len(lines) == 1
    assert "1000 of 1000 events not delivered to 127.0.0.1:1" in lines[0]
    assert "Connect call failed" in lines[0]
    assert len(stderr.splitlines()) <= 2


def test_a_forked_child_sends_its_own_events_and_none_of_its_parent(script: Script) -> None:
    script.run(
        """
        emit("parent")
        pid = os.fork()
        if pid == 0:
            assert telemetry.stats().emitted == 0
            emit("child")
            assert telemetry.flush(10)
            os._exit(0)
        wait(pid)
        """
    )
    assert script.numbers_by_tenant() == {"parent": EACH, "child": EACH}


def test_a_child_that_only_exits_sends_nothing(script: Script) -> None:
    script.run(
        """
        emit("parent")
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        wait(pid)
        """
    )
    assert script.numbers_by_tenant() == {"parent": EACH}


def test_fork_before_the_first_event_is_the_preloaded_server(script: Script) -> None:
    script.run(
        """
        pids = []
        for worker in range(3):
            pid = os.fork()
            if pid == 0:
                emit(f"worker-{worker}")
                sys.exit(0)
            pids.append(pid)
        for pid in pids:
            wait(pid)
        """
    )
    assert script.numbers_by_tenant() == {f"worker-{n}": EACH for n in range(3)}


def test_a_fork_by_the_system_s_own_call_before_the_first_event(script: Script) -> None:
    # No hook of Python's runs then: a server written in C forks like this. With a thread running
    # Python itself does not survive it, so there is none before the first event.
    script.run(
        """
        import ctypes
        pids = []
        for worker in range(3):
            pid = ctypes.PyDLL(None).fork()
            if pid == 0:
                emit(f"worker-{worker}")
                sys.exit(0)
            pids.append(pid)
        for pid in pids:
            wait(pid)
        emit("parent")
        """
    )
    expected = {f"worker-{n}": EACH for n in range(3)}
    assert script.numbers_by_tenant() == {**expected, "parent": EACH}


def test_a_fork_without_hooks_is_noticed_at_the_next_event(script: Script) -> None:
    script.run(
        """
        emit("parent")
        assert telemetry.flush(10)
        producer = producer_of(telemetry)
        inherited = producer.engine
        pid = os.fork()
        if pid == 0:
            # As in a server that forks without running Python's hooks.
            producer.engine = inherited
            producer._by_pid = {inherited.pid: inherited}
            with telemetry.request(tenant="child", n=0):
                pass
            assert producer.engine is not inherited
            sys.exit(0)
        wait(pid)
        """
    )
    assert script.numbers_by_tenant() == {"parent": EACH, "child": [0]}


def test_a_grandchild_is_a_producer_of_its_own(script: Script) -> None:
    script.run(
        """
        emit("parent")
        pid = os.fork()
        if pid == 0:
            emit("child")
            grandchild = os.fork()
            if grandchild == 0:
                emit("grandchild")
                sys.exit(0)
            wait(grandchild)
            sys.exit(0)
        wait(pid)
        """
    )
    assert script.numbers_by_tenant() == {"parent": EACH, "child": EACH, "grandchild": EACH}


def test_a_fork_waits_while_the_background_thread_imports(script: Script) -> None:
    script.run(
        """
        telemetry = tokentide.Telemetry(bootstrap="127.0.0.1:1", exit_timeout_s=0)
        for _ in range(3):
            telemetry.emit({"type": "request"})
            pid = os.fork()
            if pid == 0:
                assert not importing_threads
                import aiokafka, asyncio
                telemetry.emit({"type": "request"})
                deadline = time.monotonic() + 20
                while not telemetry.stats().retries:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                os._exit(0)
            wait(pid)
        """
    )


def test_the_background_thread_imports_nothing_after_its_start(script: Script) -> None:
    # A child of a fork in that moment would wait for the module for ever, and its events with it.
    script.run(
        """
        telemetry = tokentide.Telemetry(bootstrap="localhost:1", exit_timeout_s=0)
        late = []

        class Watch:
            def find_spec(self, name, path=None, target=None):
                mine = threading.get_ident()
                if mine != threading.main_thread().ident and mine not in importing_threads:
                    late.append(name)

        sys.meta_path.insert(0, Watch())
        telemetry.emit({"type": "request", "tenat": "x"})
        telemetry.emit({"type": "reqest"})
        deadline = time.monotonic() + 60
        while not telemetry.stats().retries:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not late, late
        """
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver_at_their_end(script: Script, method: str) -> None:
    script.run(
        f"""
        if __name__ == "__main__":
            emit("parent")
            context = multiprocessing.get_context("{method}")
            children = [context.Process(target=emit, args=(f"child-{{n}}",)) for n in range(2)]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
        """
    )
    assert script.numbers_by_tenant() == {"parent": EACH, "child-0": EACH, "child-1": EACH}


def test_a_pool_of_forked_workers_loses_nothing(script: Script) -> None:
    script.run(
        """
        def work(n):
            telemetry.emit({"type": "request", "tenant": "pool", "n": n})

        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                pool.map(work, range(100))
                pool.close()
                pool.join()
        """
    )
    assert sorted(script.numbers_by_tenant()["pool"]) == EACH
