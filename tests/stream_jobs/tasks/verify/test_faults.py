"""Verify and the dead-letter tools against the real pipeline, with faults really made."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import clickhouse_connect
import pytest

from tests.prepared import Prepared
from tests.stream_jobs.tasks.verify.faulty_pipeline import (
    BAD,
    SYNC,
    Pipeline,
    documented,
    follow,
    fresh_dead_letters,
    good,
    kinds,
    one_place,
    place_of,
    report_of,
    saved,
    send,
    take_out_and_let_in,
)
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.dead_letters import DeadLetterStore, Target
from tokentide_jobs.tasks.repair.lost_rows import LostRowsOfLog
from tokentide_jobs.tasks.repair.records import MiscountedBatch

pytestmark = pytest.mark.integration

GOOD_EVENTS, BAD_EVENTS = 300, 4


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Pipeline]:
    frames = [
        b"\n".join(good(number) for number in range(start, start + 50))
        for start in range(0, GOOD_EVENTS, 50)
    ]
    with Stack(prepared(tmp_path_factory.mktemp("verify")), broker="tansu", workers=1) as stack:
        asyncio.run(send(stack.info.kafka, stack.info.events_topic, [*frames, *BAD]))
        client = clickhouse_connect.get_client(
            dsn=stack.info.clickhouse_dsn, database="tokentide", autogenerate_session_id=False
        )
        with client:
            running = Pipeline(stack, client)
            assert running.run("verify", "--wait", "120", "--json") == 0
            yield running


# First: a part that lost all its rows has no projection until the engine drops it, in its own time.
def test_a_doubled_row_is_found_even_when_another_one_is_missing(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    where = one_place(pipeline.client)
    with saved(pipeline.client, "raw_requests", where):
        pipeline.client.command(
            "INSERT INTO raw_requests SELECT * FROM saved_raw_requests",
            settings={"insert_deduplication_token": str(uuid.uuid4())},
        )
        code, report = report_of(pipeline, capsys)
        assert (code, report["lost"], report["duplicated"]) == (1, 0, 1)
        assert report["repeated_event_ids"] == 1
        assert "duplicated" in kinds(report)
        [remedy] = report["remedies"]
        assert pipeline.run("repair", "--dry-run") == 1
        assert "1 batch has raw rows twice" in capsys.readouterr().err
        day = pipeline.client.command("SELECT toYYYYMMDD(started_at) FROM saved_raw_requests")
        pipeline.remove_rows_that_stand_twice(str(day))
        follow(pipeline, remedy)
        assert report_of(pipeline, capsys)[0] == 0


def test_rows_that_are_lost_are_made_again_from_the_log_just_as_they_were(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    client, table = pipeline.client, "raw_requests"
    rows = f"SELECT * FROM {table} ORDER BY _partition, _offset, _idx"
    right, lost = client.query(rows).result_rows, "cityHash64(event_id) % 3 = 0"
    with saved(client, table, lost):
        client.command(f"ALTER TABLE {table} DELETE WHERE {lost}", settings=SYNC)
        assert 0 < len(client.query(rows).result_rows) < len(right)
        assert pipeline.run("repair") == 1
        assert "--from-log" in capsys.readouterr().err
        assert pipeline.run("repair", "--dry-run") == 1
        assert "batches lack raw rows" in capsys.readouterr().err
        assert pipeline.run("repair", "--from-log", "--dry-run", "--json") == 1
        restored = json.loads(capsys.readouterr().out)["restored"]
        assert client.query(rows).result_rows != right
        for again in (False, True):  # what is lost once more is made once more
            if again:
                client.command(f"ALTER TABLE {table} DELETE WHERE {lost}", settings=SYNC)
            assert pipeline.run("repair", "--from-log", "--json") == 0
            assert json.loads(capsys.readouterr().out)["restored"] == restored
            assert client.query(rows).result_rows == right
        assert pipeline.run("repair", "--from-log") == 0
        assert "nothing to do" in capsys.readouterr().out
        assert pipeline.run("verify", "--json") == 0


def test_two_repairs_at_once_bring_rows_back_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, lost = pipeline.client, "cityHash64(event_id) % 3 = 1"
    rows = "SELECT * FROM raw_requests ORDER BY _partition, _offset, _idx"
    right, look, others = client.query(rows).result_rows, LostRowsOfLog._lacking, [0]

    def lacking(lost_rows: LostRowsOfLog, batch: MiscountedBatch, outcome: Outcome) -> Any:
        found = look(lost_rows, batch, outcome)
        if others:
            others.pop()
            assert pipeline.run("repair", "--from-log") == 0
        return found

    with saved(client, "raw_requests", lost):
        client.command(f"ALTER TABLE raw_requests DELETE WHERE {lost}", settings=SYNC)
        monkeypatch.setattr(LostRowsOfLog, "_lacking", lacking)
        assert pipeline.run("repair", "--from-log") == 0
        assert client.query(rows).result_rows == right
    assert not others


def test_rows_are_not_made_from_another_log(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, lost = pipeline.client, "_offset = 0"
    with saved(client, "raw_requests", lost):
        client.command(f"ALTER TABLE raw_requests DELETE WHERE {lost}", settings=SYNC)
        monkeypatch.setenv("TOKENTIDE_LOG_ID", "again")
        assert pipeline.run("repair", "--from-log") == 1
    assert "Kafka does not have these records any more" in capsys.readouterr().err


def test_a_whole_pipeline_is_ok(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = report_of(pipeline, capsys)
    assert (code, report["ok"], report["mismatches"]) == (0, True, [])
    assert report["kafka_events"] == report["recounted_events"]
    assert report["kafka_events"] == report["raw_events"] + report["dead_letters"]
    assert report["raw_events"] == report["window_events"] >= GOOD_EVENTS
    assert report["dead_letters"] == BAD_EVENTS
    assert report["raw_cost_usd"] == report["window_cost_usd"]
    assert float(report["raw_cost_usd"]) > 0


def test_the_ledger_alone_gives_the_same_counts(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    _, counted = report_of(pipeline, capsys)
    code, believed = report_of(pipeline, capsys, "--no-recount")
    assert code == 0
    assert believed["recounted_events"] == 0
    assert believed["kafka_events"] == counted["kafka_events"]


def test_a_deleted_row_is_lost(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    where = one_place(pipeline.client)
    with saved(pipeline.client, "raw_requests", where):
        pipeline.client.command(f"ALTER TABLE raw_requests DELETE WHERE {where}", settings=SYNC)
        code, report = report_of(pipeline, capsys)
        assert (code, report["ok"], report["lost"], report["duplicated"]) == (1, False, 1, 0)
        assert kinds(report) >= {"lost", "window_events", "window_money", "window_tokens"}
        assert pipeline.run("verify") == 1
        assert "NOT OK" in (printed := capsys.readouterr().out)
        [remedy] = report["remedies"]
        assert remedy["command"].startswith("tokentide repair --from-log --from ")
        assert remedy["command"] in printed
        follow(pipeline, remedy)
        assert report_of(pipeline, capsys)[0] == 0
    assert report_of(pipeline, capsys)[0] == 0


def test_what_the_pipeline_stored_under_two_identities_is_not_blamed_on_a_producer(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    where = one_place(pipeline.client)
    with saved(pipeline.client, "raw_requests", where):
        pipeline.client.command(
            "INSERT INTO raw_requests "
            "SELECT * REPLACE ('another' AS log_id) FROM saved_raw_requests",
            settings={"insert_deduplication_token": str(uuid.uuid4())},
        )
        code, report = report_of(pipeline, capsys)
        assert (code, report["repeated_event_ids"]) == (1, 0)
        [found] = [fault for fault in report["mismatches"] if fault["kind"] == "read_twice"]
        assert found["events"] == 1
        assert "another" in found["where"]


def test_a_missing_dead_letter_is_lost(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    row = pipeline.client.query("SELECT _partition, _offset FROM dead_letters LIMIT 1")
    where = "_partition = {} AND _offset = {}".format(*row.result_rows[0])
    with saved(pipeline.client, "dead_letters", where):
        pipeline.client.command(f"ALTER TABLE dead_letters DELETE WHERE {where}", settings=SYNC)
        code, report = report_of(pipeline, capsys)
        assert (code, report["lost"]) == (1, 1)


def test_money_that_is_off_by_one_pico_dollar_is_found(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    where = one_place(pipeline.client)
    with saved(pipeline.client, "raw_requests", where):
        change = "ALTER TABLE raw_requests UPDATE cost_pico_usd = cost_pico_usd + 1 WHERE " + where
        pipeline.client.command(change, settings=SYNC)
        code, report = report_of(pipeline, capsys)
        assert (code, report["lost"], report["duplicated"]) == (1, 0, 0)
        assert kinds(report) == {"batch_money", "window_money", "subjects"}
        assert report["raw_cost_usd"] != report["window_cost_usd"]
        [changed] = [each for each in report["mismatches"] if each["kind"] == "batch_money"]
        pipeline.client.command(documented("rows of a batch"), parameters=place_of(changed))
        follow(pipeline, *report["remedies"])
        assert report_of(pipeline, capsys)[0] == 0


def test_a_ledger_row_that_is_gone_is_found(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """The batch is the first of its partition: a gap if others follow, else rows of no batch."""
    row = pipeline.client.query(
        "SELECT _partition FROM raw_requests ORDER BY _partition, _offset LIMIT 1"
    )
    where = f"partition = {row.result_rows[0][0]} AND start_offset = 0"
    with saved(pipeline.client, "ingest_positions", where):
        pipeline.client.command(f"ALTER TABLE ingest_positions DELETE WHERE {where}", settings=SYNC)
        with saved(pipeline.client, "ingest_intents", where):
            gone = f"ALTER TABLE ingest_intents DELETE WHERE {where}"
            pipeline.client.command(gone, settings=SYNC)
            code, report = report_of(pipeline, capsys)
    assert code == 1
    assert kinds(report) & {"ledger_gap", "unclaimed"}


def test_a_range_of_time_and_a_range_of_offsets_are_verified_by_themselves(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    code, nothing = report_of(pipeline, capsys, "--from", "2020-01-01", "--to", "2020-01-02")
    assert (code, nothing["kafka_events"], nothing["window_events"]) == (5, 0, 0)
    assert (nothing["ok"], nothing["verdict"]) == (False, "nothing")
    assert pipeline.run("verify", "--from", "2020-01-01", "--to", "2020-01-02") == 5
    printed = capsys.readouterr().out
    assert "nothing proven" in printed
    assert "verified" not in printed
    code, recent = report_of(pipeline, capsys, "--from", "1h")
    assert code == 0
    assert recent["kafka_events"] >= GOOD_EVENTS
    code, some = report_of(pipeline, capsys, "--offsets", "0-1")
    assert code == 0
    assert 0 < some["kafka_events"] <= recent["kafka_events"]
    assert pipeline.run("verify", "--offsets", "0-1", "--from", "1h") == 2


def test_dead_letters_are_listed_by_reason_and_shown_with_their_bytes(
    pipeline: Pipeline, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert pipeline.run("dlq", "list", "--json") == 0
    dead_letters = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert len(dead_letters) == BAD_EVENTS
    assert pipeline.run("dlq", "list", "--reason", dead_letters[0]["reason"]) == 0
    assert dead_letters[0]["reason"].encode() in capfdbinary.readouterr().out
    raw = set()
    for dead_letter in dead_letters:
        assert pipeline.run("dlq", "show", dead_letter["place"]) == 0
        assert dead_letter["reason"].encode() in capfdbinary.readouterr().out
        assert pipeline.run("dlq", "show", dead_letter["place"], "--raw") == 0
        raw.add(capfdbinary.readouterr().out)
    assert raw == set(BAD)
    assert pipeline.run("dlq", "show", "0:99999:0") == 2
    assert pipeline.run("dlq", "show", "somewhere") == 2


def test_dead_letters_are_sent_again_once(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    before = report_of(pipeline, capsys)[1]["kafka_events"]
    assert pipeline.run("dlq", "replay") == 2
    assert pipeline.run("dlq", "replay", "--all", "--dry-run") == 0
    assert f"{BAD_EVENTS} open dead letters would be sent" in capsys.readouterr().out
    assert pipeline.run("dlq", "replay", "--all", "--max", "3") == 0
    printed = capsys.readouterr().out
    assert "sent 3 events again" in printed
    assert "1 more is open" in printed
    assert pipeline.run("dlq", "replay", "--all") == 0
    assert "sent 1 event again" in capsys.readouterr().out
    code, report = report_of(pipeline, capsys, "--wait", "120")
    assert (code, report["dead_letters"]) == (0, 2 * BAD_EVENTS)
    # They are still bad and come back; another run sends neither them nor the first ones.
    assert pipeline.run("dlq", "replay", "--all") == 0
    assert "0 open dead letters" in capsys.readouterr().out
    stats = report_of(pipeline, capsys, "--wait", "120")[1]
    assert stats["kafka_events"] == before + BAD_EVENTS
    states = pipeline.client.query("SELECT count() FROM dead_letters_open").result_rows[0][0]
    assert states == 0


def test_two_runs_at_once_send_every_dead_letter_once(pipeline: Pipeline) -> None:
    dead_letters = fresh_dead_letters(pipeline)
    info = pipeline.stack.info
    target = Target(info.kafka, info.events_topic, info.log_id)

    def run_once(_number: int) -> int:
        with closing(ClickHouse(info.clickhouse_dsn, "tokentide")) as store:
            return asyncio.run(DeadLetterStore(store).replay(dead_letters, target))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run_once, range(4))) <= BAD_EVENTS
    rows, places = pipeline.client.query(
        "SELECT count(), uniqExact(_partition, _offset) FROM dead_letter_replays "
        "WHERE action = 'replayed'"
    ).result_rows[0]
    assert rows == places


def test_dead_letters_of_a_run_that_died_are_shown_and_sent_only_when_that_is_asked_for(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    for dead_letter in fresh_dead_letters(pipeline):
        place = dead_letter.place
        pipeline.client.command(
            "INSERT INTO dead_letter_replays (log_id, _topic, _partition, _offset, _idx, run_id, "
            f"action, acted_at) VALUES ('{place.log_id}', '{place.topic}', {place.partition}, "
            f"{place.offset}, {place.idx}, 'died', 'sending', now64(3) - 300)"
        )
    capsys.readouterr()
    assert pipeline.run("dlq", "list", "--state", "interrupted", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) >= BAD_EVENTS
    assert pipeline.run("dlq", "replay", "--all") == 0
    assert "0 open dead letters" in capsys.readouterr().out
    assert pipeline.run("dlq", "replay", "--all", "--interrupted") == 0
    # Dead letters that none of the runs at once has won count as interrupted after a minute.
    sent = re.search(r"sent (\d+) events again", capsys.readouterr().out)
    assert sent and int(sent[1]) >= BAD_EVENTS
    assert pipeline.run("dlq", "replay", "--all", "--interrupted") == 0
    # Those of the runs at once may come to that minute only now; they are not sent again either.
    assert re.search("^(0 open dead letters|sent 0 events)", capsys.readouterr().out)


def test_where_kafka_is_away_no_dead_letter_is_claimed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_dead_letters(pipeline)
    with monkeypatch.context() as patch:
        patch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:9")
        assert pipeline.run("dlq", "replay", "--all") == 3
    open_now = pipeline.client.query("SELECT count() FROM dead_letters_open").result_rows[0][0]
    assert open_now == BAD_EVENTS
    assert pipeline.run("dlq", "replay", "--all") == 0
    assert pipeline.run("verify", "--wait", "120", "--json") == 0


def test_a_window_that_holds_too_much_is_found(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.client.command("INSERT INTO windows_10s (window_start, events) VALUES (now(), 1)")
    code, report = report_of(pipeline, capsys)
    assert (code, kinds(report)) == (1, {"window_events"})
    assert report["window_events"] == report["window_raw_events"] + 1
    # `verify` names what corrects it, and that does.
    [remedy] = report["remedies"]
    assert remedy["command"].startswith("tokentide repair --table windows_10s --from ")
    follow(pipeline, remedy)
    assert report_of(pipeline, capsys)[0] == 0


def test_sums_by_subject_that_lack_a_run_are_found_and_repaired(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.client.command(
        "ALTER TABLE subjects_1h DELETE WHERE kind = 'run' AND subject = 'run-3'", settings=SYNC
    )
    code, report = report_of(pipeline, capsys)
    assert (code, kinds(report)) == (1, {"subjects"})
    assert "of kind run, hour of" in report["mismatches"][0]["where"]
    [remedy] = report["remedies"]
    assert remedy["command"].startswith("tokentide repair --table subjects_1h --from ")
    follow(pipeline, remedy)
    assert report_of(pipeline, capsys)[0] == 0
    (row,) = pipeline.client.query(
        "SELECT requests, cost_usd > 0 FROM runs WHERE run = 'run-3'"
    ).result_rows
    assert tuple(row) == (len(range(3, GOOD_EVENTS, 9)), True)


def test_an_event_that_is_taken_out_stays_out_until_it_is_let_in_again(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    take_out_and_let_in(pipeline, capsys)
