"""The longest files begin, each of them is there, and one that became long is named."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from xdist.remote import Producer

from tests.places import ROOT
from tests.scheduling import LONGEST, READ_ALL_SOURCES, ByWhatIsShared, late_files

SHORT = "tests/sql/test_roles.py"


class TwoWorkers:
    """The one setting that a scheduler reads."""

    def getvalue(self, name: str) -> list[str]:
        assert name == "tx"
        return ["popen", "popen"]


@dataclass(eq=False)
class Node:
    """A worker that remembers what it was given to run."""

    given: list[int] = field(default_factory=list)

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices


def test_every_file_that_is_named_exists_once_and_has_integration_tests() -> None:
    assert len(set(LONGEST)) == len(LONGEST)
    for file in LONGEST:
        assert "pytest.mark.integration" in (ROOT / file).read_text("utf-8"), file
    assert [file for file in READ_ALL_SOURCES if not (ROOT / file).is_file()] == []


def test_the_longest_file_that_is_left_is_handed_out() -> None:
    order = [SHORT, LONGEST[1], "tests/sql/test_tables.py", LONGEST[0]]
    scheduler = ByWhatIsShared(TwoWorkers(), Producer("test"))
    nodes = [Node(), Node()]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.registered_collections[node] = [f"{file}::test" for file in order]
    scheduler.workqueue = OrderedDict((file, {f"{file}::test": False}) for file in order)
    for turn in range(len(order)):
        scheduler._assign_work_unit(nodes[turn % 2])
    assert [node.given for node in nodes] == [[3, 0], [1, 2]]


def test_a_file_that_became_long_is_named() -> None:
    took_s = dict.fromkeys(LONGEST, 20.0) | {SHORT: 19.0}
    assert late_files(took_s) == {}
    assert late_files(took_s | {SHORT: 21.0}) == {SHORT: 21.0}
    assert late_files({SHORT: 21.0}) == {}, "of a part of the tests nothing follows"
