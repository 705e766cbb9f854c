"""The board: names, assignments, other clients, addresses: each fault turns its line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bela_module.checking.board_checks import check_address
from bela_module.checking.checker import judge
from bela_module.checking.facts import (
    AddressAttempt,
    BoardFacts,
    HeardVariable,
)
from bela_module.checking.verdicts import Verdict
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.runs import GapReason
from tests.support.check_facts import (
    URL,
    Change,
    assert_turns,
    change_board,
    change_computer,
    change_run,
    healthy_facts,
    others_of,
    status,
    stream,
    with_run,
    with_streams,
)

POT = Variable(0, "pot1", ValueType.FLOAT)

FAULTS: dict[str, tuple[Change, str, Verdict, str]] = {
    "duplicate names": (
        change_board(variables=(POT, POT)),
        "names",
        Verdict.WARN,
        "pot1",
    ),
    "a name that is empty": (
        change_board(variables=(POT, Variable(1, "", ValueType.INT))),
        "names",
        Verdict.WARN,
        "without a name",
    ),
    "a variable that is never assigned": (
        lambda facts: with_streams(
            facts, stream(), stream("bela_check_gain", samples=0, assigned=False)
        ),
        "assigned",
        Verdict.WARN,
        "gain",
    ),
    "a variable that is never assigned, whose watch another client ends": (
        lambda facts: with_streams(
            facts, stream(), stream("bela_check_gain", samples=0, assigned=True)
        ),
        "assigned",
        Verdict.WARN,
        "gain",
    ),
    "another client": (
        change_run(status=status(others=others_of(watched=["pot7"]))),
        "other clients",
        Verdict.WARN,
        "1 watched: pot7",
    ),
    "another client that only asks": (
        change_board(n_asked_by_others=5, listened_s=1.6),
        "other clients",
        Verdict.WARN,
        "5 requests in 1.6 s",
    ),
    "another client that begins blocks again": (
        lambda facts: with_run(
            with_streams(facts, stream(lost=480)),
            losses={"bela_check_pot1": {GapReason.RESTARTED: 480}},
        ),
        "other clients",
        Verdict.WARN,
        "480 values lost",
    ),
    "another client that ends the watch": (
        lambda facts: with_run(
            with_streams(facts, stream(lost=25_000)),
            problems=("pot1: another client ended the watch; watched again",),
        ),
        "other clients",
        Verdict.FAIL,
        "25000 values lost",
    ),
    "a module here that begins to stream meanwhile": (
        lambda facts: change_computer(serves_this_board=True, pcomm_port="ours")(
            with_run(
                with_streams(facts, stream(lost=25_000)),
                problems=("pot1: another client ended the watch; watched again",),
            )
        ),
        "other clients",
        Verdict.WARN,
        "25000 values lost",
    ),
    "a variable that was left watched and is never assigned": (
        lambda facts: with_run(
            with_streams(facts, stream(), others=others_of(watched=["gain"])),
            heard=(HeardVariable("gain", 0, 0, 0, sparse=False, is_assigned=False),),
        ),
        "assigned",
        Verdict.WARN,
        "gain",
    ),
    "control that is left": (
        change_run(status=status(others=others_of(controlled=["gain"]))),
        "other clients",
        Verdict.WARN,
        "controlled",
    ),
}


@pytest.mark.parametrize(("change", "line", "verdict", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_turns_its_line_alone(
    change: Change, line: str, verdict: Verdict, words: str
) -> None:
    assert_turns(change, line, verdict, words)


def test_a_module_that_streams_from_this_board_is_no_other_client() -> None:
    streams = replace(
        with_run(healthy_facts(), status=status(others=others_of(watched=["pot1"]))),
        computer=replace(
            healthy_facts().computer,
            pcomm_port="ours",
            serves_this_board=True,
            pcomm_state="streaming",
        ),
        lsl=replace(healthy_facts().lsl, same_identity=("this-pc",)),
    )
    assert [check for check in judge(streams) if check.verdict is not Verdict.OK] == []


def test_a_sensor_that_is_left_watched_and_not_touched_is_no_other_client() -> None:
    facts = with_run(
        with_streams(healthy_facts(), stream(), others=others_of(watched=["touch"])),
        heard=(HeardVariable("touch", 0, 0, 0, sparse=True, is_assigned=False),),
    )
    checks = {check.name: check for check in judge(facts)}
    assert {check.verdict for check in checks.values()} == {Verdict.OK}
    assert "left watched" in checks["other clients"].measured


@pytest.mark.parametrize(
    ("board", "words", "advice"),
    [
        (BoardFacts(URL, lookup_error="name not known"), "name not known", "192.168.7.2"),
        (
            BoardFacts(URL, (AddressAttempt("10.0.0.1", "Connection refused"),)),
            "10.0.0.1: Connection refused",
            "Watcher",
        ),
        (
            BoardFacts(
                URL,
                (AddressAttempt("127.0.0.1"),),
                http_status="HTTP/1.0 200 OK",
                error="no websocket there",
            ),
            "HTTP/1.0 200 OK",
            "another program",
        ),
    ],
)
def test_a_board_that_is_not_there_says_what_was_tried(
    board: BoardFacts, words: str, advice: str
) -> None:
    check = check_address(board)
    assert check.verdict is Verdict.FAIL
    assert words in check.measured
    assert advice in check.advice


def test_of_several_addresses_those_that_lead_nowhere_are_named() -> None:
    attempts = (AddressAttempt("192.0.2.1", "no answer in 2.0 s"), AddressAttempt("192.0.2.2"))
    check = check_address(BoardFacts(URL, attempts, project="pots"))
    assert check.verdict is Verdict.OK
    assert "at 192.0.2.2" in check.measured
    assert "no answer from 192.0.2.1" in check.measured
