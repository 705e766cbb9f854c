"""The PCOMM CHECK: one at a time, a line each in the log, the result in STATUS."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bela_module.checking import checker
from bela_module.checking.check_runner import CheckRunner
from bela_module.checking.verdicts import Check, CheckReport, Verdict
from bela_module.config import Settings
from bela_module.errors import BelaError, RequestError
from bela_module.requests import StartRequest
from bela_module.session.session import Session
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from tests.support.server_helpers import FakeSession, serving
from tests.support.session_helpers import settings_for

REPORT = CheckReport(
    (
        Check("clock", Verdict.OK, "within 0.4 ms"),
        Check("disk", Verdict.FAIL, "full", "make room"),
    )
)


def replace_check(monkeypatch: pytest.MonkeyPatch, check: Callable[..., CheckReport]) -> None:
    monkeypatch.setattr(checker, "run_check", check)


def test_the_result_is_in_the_log_and_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[float] = []

    def check(_settings: Settings, seconds: float, **_options: Any) -> CheckReport:
        asked.append(seconds)
        return REPORT

    replace_check(monkeypatch, check)
    session = FakeSession()
    runner = CheckRunner(session, Settings)
    with caplog.at_level(logging.INFO):
        said = runner.begin(seconds="2").result(20)
    assert said == "not ready: 1 of 2 checks failed"
    assert asked == [2.0]
    assert session.checks == [REPORT.as_json()]
    assert "check: OK   clock: within 0.4 ms" in caplog.messages
    assert "check: FAIL disk: full -> make room" in caplog.messages
    runner.close(20)


def test_one_at_a_time_and_ended_with_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, release = threading.Event(), threading.Event()

    def check(*_: Any, is_cancelled: Callable[[], bool], **_options: Any) -> CheckReport:
        begun.set()
        while not is_cancelled():
            release.wait(0.01)
        raise BelaError("the check was ended before its time")

    replace_check(monkeypatch, check)
    runner = CheckRunner(FakeSession(), Settings)
    first = runner.begin()
    assert begun.wait(20)
    with pytest.raises(RequestError, match="running already"):
        runner.begin()
    runner.close(20)
    with pytest.raises(BelaError, match="before its time"):
        first.result(20)


@pytest.mark.parametrize("payload", [{"seconds": 0}, {"seconds": 1e300}, {"minutes": 1}])
def test_a_wrong_payload_is_refused_and_runs_nothing(
    payload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_check(monkeypatch, lambda *_args, **_options: pytest.fail("it ran"))
    runner = CheckRunner(FakeSession(), Settings)
    with pytest.raises(RequestError, match=next(iter(payload))):
        runner.begin(**payload)
    replace_check(monkeypatch, lambda *_args, **_options: REPORT)
    assert runner.begin().result(20)
    runner.close(20)


def test_a_defect_is_told_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **_options: Any) -> CheckReport:
        raise ZeroDivisionError("a defect")

    replace_check(monkeypatch, fail)
    runner = CheckRunner(FakeSession(), Settings)
    with pytest.raises(BelaError, match="the check failed"):
        runner.begin().result(20)
    replace_check(monkeypatch, lambda *_args, **_options: REPORT)
    assert runner.begin().result(20)
    runner.close(20)


def test_the_server_answers_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_check(monkeypatch, lambda *_args, **_options: REPORT)
    with serving() as running:
        client = running.client()
        client.send('VERBOSE|{"on": true};')
        client.line()
        client.send('CHECK|{"seconds": 1};')
        assert client.line() == "OK CHECK"
        client.send('CHECK|{"seconds": -1};')
        assert client.line().startswith("ERROR CHECK: seconds")
    assert running.session.checks == [REPORT.as_json()]


def test_nothing_begins_while_a_check_has_watches_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def check(*_: Any, **_options: Any) -> CheckReport:
        assert release.wait(20)
        return REPORT

    replace_check(monkeypatch, check)
    with serving() as running:
        client = running.client()
        client.send('VERBOSE|{"on": true};')
        client.line()
        client.send("CHECK;START;")
        assert client.line().startswith("ERROR START: a check is running")
        client.send("STOP;")
        assert client.line() == "OK STOP"
        release.set()
        assert client.line() == "OK CHECK"
        client.send("START;")
        assert client.line() == "OK START"
    assert [name for name, _ in running.session.requests] == ["stop", "start"]


@pytest.mark.timeout(120)
def test_it_runs_beside_the_streams_of_its_own_module() -> None:
    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        settings = settings_for(board.port, server={"port": 0})
        with Session(settings, sink=LslOutlets, now=local_clock) as session:
            session.start(StartRequest()).result(30)
            before = session.status()["streams"]
            runner = CheckRunner(session, lambda: settings)
            runner.begin(seconds=2).result(60)
            runner.close(20)
            status = session.status()
            session.stop().result(30)
            final = session.status()
    assert json.loads(json.dumps(status["last_check"]))["checks"]
    assert {s["name"] for s in status["streams"]} == {s["name"] for s in before}
    assert {s["name"]: (s["lost"], s["gaps"]) for s in final["streams"]} == dict.fromkeys(
        ("bela_pot1", "bela_pot2"), (0, 0)
    ), [final["notices"], final["counters"], final["shortfalls"]]
    lines = {check["name"]: check for check in status["last_check"]["checks"]}
    assert "2 of others heard" in lines["streams"]["measured"]
    assert lines["complete"]["measured"].endswith(", 0 lost")
