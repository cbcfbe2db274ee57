"""What was taken out leaves what would be there had it never been let in, wherever it died."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import migrated
from tests.sampling import IS_THOROUGH
from tests.stream_jobs.tasks.damaged import (
    CARDS,
    NOW_US,
    OLD_US,
    TODAY_US,
    TOKEN_WINDOW_US,
    Ingest,
    damage,
    everything,
)
from tests.stream_jobs.tasks.void.voiding import (
    count,
    dying_before,
    lose_rows,
    one_in_the_middle,
    put_back,
    some_ids,
    void_of,
)
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.core.tables import EVENT_VOIDS, VOIDED_ROWS
from tokentide_jobs.errors import ConfigError, RetriableSinkError, WrongData
from tokentide_jobs.io.clickhouse.card_store import write_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.void_reads import newest_void_revision, voided_ids
from tokentide_jobs.tasks.repair.lost_rows import LostRowsOfLog, RecordSource
from tokentide_jobs.tasks.repair.records import RepairRecords
from tokentide_jobs.tasks.repair.repair import Repair
from tokentide_jobs.tasks.void.void_tables import VoidStore

pytestmark = pytest.mark.integration

DAYS_US = (TODAY_US, OLD_US)
"""One day with ten-second windows, and one without."""
CHANGES = ("decide", "record rows", "delete", "correct", "record windows", "record subjects")
"""How the steps begin that change something; a usual run dies before one of each."""


@pytest.fixture
def store(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as made:
        yield made


def ingested(store: ClickHouse, voided: Collection[str] = ()) -> None:
    ingest = Ingest(store, voided=voided)
    for day_us in DAYS_US:
        ingest.batch(40, day_us)


def test_a_run_killed_before_any_of_its_steps_is_run_again_and_audited_once(
    store: ClickHouse, sql_server: str
) -> None:
    ingested(store)
    cost_before = count(store, "raw_requests", "sum(toInt128(cost_pico_usd))")

    names: list[str] = []
    taken = [
        [*some_ids(store, "request", 2), *some_ids(store, "evaluation", 1)],
        *([one] for one in some_ids(store, "request", len(CHANGES), 2)),
    ]
    done = void_of(store, progress=names.append).take_out(taken[0], "a test in production")
    assert len(done.rows) == 3
    # Looking changes nothing: only what comes before and after a change needs its own death.
    deaths = [name.partition(" [")[0] for name in names if not name.startswith(("look", "wait"))]
    assert all(death.startswith(CHANGES) for death in deaths), deaths
    killed = list(CHANGES)
    if IS_THOROUGH:
        killed = list(dict.fromkeys(deaths))
        taken[1:] = [
            [*some_ids(store, "request", 2, 2 * n), *some_ids(store, "evaluation", 1, n)]
            for n in range(len(killed))
        ]
    for step, event_ids in zip(killed, taken[1:], strict=True):
        with pytest.raises(InterruptedError, match=step):
            void_of(store, progress=dying_before(step)).take_out(event_ids, "killed")
        void_of(store).take_out(event_ids, "again")
        if IS_THOROUGH or step == killed[-1]:
            assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == [], step

    out = [one for event_ids in taken for one in event_ids]
    revision = newest_void_revision(store)
    assert voided_ids(store, revision) == set(out)
    assert count(store, EVENT_VOIDS) == count(store, VOIDED_ROWS) == len(out)
    assert count(
        store, "voided_events", "uniqExact(log_id, _topic, _partition, _offset, _idx)"
    ) == (len(out))
    went = count(store, "voided_events", "sum(toInt128(ifNull(cost_pico_usd, 0)))")
    assert count(store, "raw_requests", "sum(toInt128(cost_pico_usd))") == cost_before - went
    assert went > 0
    with migrated(sql_server) as other:
        ingested(other, voided=out)
        assert everything(store) == everything(other)


def test_what_is_unknown_unfinished_or_lost_is_named_and_nothing_is_begun(
    store: ClickHouse,
) -> None:
    ingested(store)
    known, unknown = some_ids(store, "request", 1), str(uuid.uuid4())
    with pytest.raises(ConfigError, match=f"no row of {unknown} .*Nothing was taken out"):
        void_of(store).take_out([*known, unknown], "wrong")

    right = everything(store)
    preview = void_of(store, dry_run=True).take_out(known, "wrong")
    assert [row.event_id for row in preview.rows] == known

    ingest = Ingest(store, seed=5, log="live")
    begun = ingest.begin(3)
    event_id, offset = begun.raw["raw_requests"].select("event_id", "_offset").row(0)
    late = str(event_id)
    with pytest.raises(RetriableSinkError, match=f"offset {offset} is not finished"):
        void_of(store).take_out([late], "wrong")
    ingest.end(begun)

    with_live = everything(store)
    assert with_live != right
    damage(store, "raw_requests", f"log_id = 'live' AND event_id != '{late}'")
    with pytest.raises(WrongData, match="1 batch lacks raw rows"):
        void_of(store).take_out([late], "wrong")
    assert everything(store) == with_live
    assert count(store, EVENT_VOIDS) == count(store, VOIDED_ROWS) == 0


def test_windows_are_not_lowered_where_a_neighbour_lost_rows_since_the_rows_went(
    store: ClickHouse,
) -> None:
    Ingest(store).batch(40)
    live = Ingest(store, seed=5, log="live")
    neighbour = live.begin(40)
    live.end(neighbour)
    ids = [one_in_the_middle(store, "log")]
    with pytest.raises(InterruptedError):
        void_of(store, progress=dying_before("look at")).take_out(ids, "wrong")
    assert count(store, VOIDED_ROWS) == 1

    before = everything(store)
    lose_rows(store, neighbour)
    with pytest.raises(WrongData, match="1 batch lacks raw rows"):
        void_of(store).take_out(ids, "wrong")
    assert everything(store) == before

    put_back(store, neighbour)
    assert void_of(store).take_out(ids, "wrong").corrections
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []


def test_an_event_is_let_in_again_wherever_it_died_and_not_over_lost_rows_of_a_neighbour(
    store: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cards(store, CARDS, "test:1")
    ingest, live = Ingest(store), Ingest(store, seed=5, log="live")
    batch, neighbour = ingest.begin(40), live.begin(40)
    ingest.end(batch)
    live.end(neighbour)

    async def kept(_self: LostRowsOfLog, intent: Intent) -> Any:
        assert intent.log == batch.intent.log
        return batch.records

    # Ingest here has no broker; what Kafka keeps is proven with the whole pipeline (test_faults).
    monkeypatch.setattr(LostRowsOfLog, "_read", kept)
    log = RecordSource("127.0.0.1:9", {})
    right, ids = everything(store), [one_in_the_middle(store, "log")]
    void_of(store).take_out(ids, "wrong")
    without = everything(store)
    assert without != right

    for word in ("decide", "restore"):
        with pytest.raises(InterruptedError):
            void_of(store, progress=dying_before(word)).let_in(ids, "right after all", log)
    lose_rows(store, neighbour)
    with pytest.raises(WrongData, match="1 batch lacks raw rows"):
        void_of(store).let_in(ids, "right after all", log)
    assert everything(store) == without

    put_back(store, neighbour)
    done = void_of(store).let_in(ids, "right after all", log)
    assert (done.revision, list(done.earlier)) == (0, ids)
    assert everything(store) == right
    assert count(store, EVENT_VOIDS) == 2
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []

    def let_in_before(step: str) -> None:
        if step == "wait until every worker knows":
            void_of(store).let_in(ids, "at the same moment", log)

    with pytest.raises(RetriableSinkError, match=r"at the same moment.*--undo` on it again"):
        void_of(store, progress=let_in_before).take_out(ids, "wrong")
    assert everything(store) == right
    ids = [one_in_the_middle(store, "log", 13)]
    with pytest.raises(InterruptedError):
        void_of(store, progress=dying_before("record")).take_out(ids, "wrong")

    def take_out_before(step: str) -> None:
        if step == "decide":
            void_of(store).take_out(ids, "goes on")

    with pytest.raises(RetriableSinkError, match=r"other rows .* run this again"):
        void_of(store, progress=take_out_before).let_in(ids, "right", log)
    void_of(store).let_in(ids, "right", log)
    assert everything(store) == right


def test_a_row_that_is_stored_while_a_batch_is_waited_for_goes_too(store: ClickHouse) -> None:
    ingest = Ingest(store)
    begun = ingest.begin(20)
    event_id = str(begun.raw["raw_requests"]["event_id"][0])
    waits: list[str] = []

    def progress(step: str) -> None:
        if step.startswith("wait") and not waits:
            waits.append(step)
            Ingest(store, log="sent again").batch(20)
            ingest.end(begun)

    done = void_of(store, progress=progress, unfinished_s=600.0).take_out([event_id], "absurd")
    assert waits
    assert [row.log.log_id for row in done.rows] == ["log", "sent again"]
    assert store.select("void/returned") == []
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []


def test_a_batch_begun_before_the_decision_and_finished_later_brings_no_event_back(
    store: ClickHouse,
) -> None:
    """As one does that another worker adopts: the decision is not in its intent."""
    Ingest(store).batch(20)
    adopted, left = Ingest(store, log="sent again"), Ingest(store, log="once more")
    begun = adopted.claim(20)
    [event_id] = some_ids(store, "request", 1)

    def progress(step: str) -> None:
        if step == "wait for 1 batch begun before":
            adopted.write(begun)
            adopted.end(begun)

    done = void_of(store, progress=progress, unfinished_s=600.0).take_out([event_id], "absurd")
    assert [row.log.log_id for row in done.rows] == ["log", "sent again"]
    assert done.may_return == []
    assert store.select("void/returned") == []
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []

    begun = left.claim(20)  # by a worker that does not know yet, and without a successor in time
    assert void_of(store).take_out([event_id], "again").may_return == ["events/0 [0, 20)"]
    left.write(begun)
    left.end(begun)
    assert [row["id"] for row in store.select("void/returned")] == [event_id]
    done = void_of(store).take_out([event_id], "again")
    assert ([row.log.log_id for row in done.rows], done.may_return) == (["once more"], [])
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []


def test_of_two_that_decide_at_once_the_first_one_holds_for_the_rows_of_both(
    store: ClickHouse,
) -> None:
    Ingest(store).batch(20)
    Ingest(store, log="sent again").batch(20)
    [event_id] = some_ids(store, "request", 1)
    tables = [VoidStore(store, f"person {number}", f"run {number}") for number in (1, 2)]
    rows = tables[0].rows([event_id])
    decided = [
        each.decide({event_id: "acme"}, f"reason {number}", is_void=True)
        for number, each in enumerate(tables, 1)
    ]
    assert (decided, len(rows)) == ([1, 2], 2)
    assert tables[1].decisions([event_id])[event_id].revision == 1
    # Earlier releases wrote each down under its own decision; one may see what the other does not.
    tables[0].record("raw_requests", 1, rows[:1])
    tables[1].record("raw_requests", 2, rows)
    assert tables[1].recorded([event_id]) == rows
    assert count(store, "voided_events", "groupArray((revision, reason))") == [(1, "reason 1")] * 2

    tables[1].decide({event_id: "acme"}, "right after all", is_void=False)
    held = tables[0].decisions([event_id])[event_id]
    assert (held.revision, held.is_out, held.reason) == (3, False, "right after all")
    assert tables[0].recorded([event_id]) == []
    tables[0].decide({event_id: "acme"}, "wrong all the same", is_void=True)
    assert tables[1].decisions([event_id])[event_id].reason == "wrong all the same"


def test_all_rows_of_an_id_go_and_one_that_comes_again_goes_with_the_same_decision(
    store: ClickHouse,
) -> None:
    first, again = Ingest(store), Ingest(store, log="sent again")
    first.batch(20)
    again.batch(20)  # the same events in another log
    [event_id] = some_ids(store, "request", 1)
    assert len(void_of(store).take_out([event_id], "absurd").rows) == 2
    assert store.select("void/returned") == []

    # A worker that did not know yet stores it once more.
    Ingest(store, log="late").batch(20)
    assert [dict(row) for row in store.select("void/returned")] == [{"id": event_id, "rows": 1}]
    done = void_of(store).take_out([event_id], "again")
    assert (len(done.rows), done.revision, list(done.earlier)) == (1, 0, [event_id])
    assert store.select("void/returned") == []
    assert count(store, "voided_events", "uniqExact(log_id)") == 3
    assert count(store, "voided_events", "any(reason)") == "absurd"
    assert count(store, EVENT_VOIDS) == 1
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []


def test_a_row_that_is_written_down_and_not_gone_keeps_repair_from_beginning(
    store: ClickHouse,
) -> None:
    ingested(store)
    ids = some_ids(store, "request", 1)
    with pytest.raises(InterruptedError):
        void_of(store, progress=dying_before("delete")).take_out(ids, "wrong")
    with pytest.raises(WrongData, match=f"`tokentide void {ids[0]} …` again"):
        list(Repair(store, "test:1", TOKEN_WINDOW_US).run())
    void_of(store).take_out(ids, "wrong")
    RepairRecords(store, "test:1").check_voids()
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []


def test_the_command_says_what_would_go_what_went_and_what_is_out_already(
    store: ClickHouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, sql_server: str,
) -> None:  # fmt: skip
    Ingest(store).batch(40)
    [event_id] = some_ids(store, "request", 1)
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)

    def run(*arguments: str) -> int:
        return main(["void", *arguments, "--data-dir", str(tmp_path)])

    assert run("no-uuid", "--reason", "x") == 2
    assert "EVENT is 'no-uuid'" in capsys.readouterr().err
    assert run(event_id) == 2
    assert run(event_id, "--reason", "two\nlines") == 2
    capsys.readouterr()
    assert run(event_id, "--reason", "absurd count", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert event_id in printed
    assert "nothing was written; 1 row with" in printed
    assert count(store, EVENT_VOIDS) == 0

    assert run(event_id.upper(), "--reason", "absurd count", "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["revision"], [row["event_id"] for row in done["rows"]]) == (1, [event_id])
    assert {each["table"] for each in done["corrections"]} >= {"windows_10s", "subjects_1h"}
    assert sum(
        each["cost_pico_usd"] for each in done["corrections"] if each["table"] == "windows_10s"
    ) == -(done["rows"][0]["cost_pico_usd"] or 0)

    assert main(["explain", event_id, "--data-dir", str(tmp_path)]) == 2
    why = capsys.readouterr().err
    assert re.search(r"was taken out by \S+ at \d{4}-.* UTC: absurd count \(view voided_ev", why)

    assert run(event_id, "--reason", "once more") == 0
    printed = capsys.readouterr().out
    assert f"{event_id} is out since" in printed
    assert "absurd count" in printed
    assert "taken out: 0 rows" in printed
    assert count(store, EVENT_VOIDS) == 1
    assert count(store, EVENT_VOIDS, "toUnixTimestamp64Milli(any(written_at))") * 1000 > NOW_US
