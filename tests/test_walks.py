"""Random walks over commands and faults: whatever the order, the session stays right and usable.

``BELA_WALKS`` sets how many; with ``--hypothesis-seed`` they are other ones than always.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from bela_module.errors import BelaError
from tests.fault_cases import CASES, NAMES, Case, check_values, make_board, taken
from tests.session_helpers import Running, left_on, session_at

N_WALKS = int(os.environ.get("BELA_WALKS", "0"))
N_STEPS = 8
BLOCK_VALUES = 512
STEP_S = 0.1
TOO_SLOW = ("silence",)  # noticed after the reply's time-out only, as in the matrix

QUICK_CASES = [case for case in CASES if case.name not in TOO_SLOW]


def until(condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what} did not come true in {timeout_s} s")
        time.sleep(0.003)


class Walk(RuleBasedStateMachine):
    """One session on one board, its commands and its faults in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.board = self._stack.enter_context(make_board())
        tables = {"board": {"reply_timeout_s": 1.0}}
        self.one: Running = self._stack.enter_context(session_at(self.board.port, **tables))
        self.streaming: tuple[str, ...] = ()
        self.troubles: list[Case] = []
        self.n_steps = 0

    # ---- commands --------------------------------------------------------------------------

    @rule(names=st.sampled_from([("a",), ("b",), NAMES]))
    def start(self, names: tuple[str, ...]) -> None:
        idle = not self.one.streams or self.one.state == "idle"
        if idle and not self.streaming:
            self.board.control_messages.clear()
            self.one.sink.kept.clear()
            self.troubles.clear()
        with contextlib.suppress(BelaError):
            self.one.start(*names)
            if idle and not self.streaming:
                self.streaming = names

    @rule()
    def stop(self) -> None:
        with contextlib.suppress(BelaError):
            self.one.stop()
        self.check_account()
        self.streaming = ()

    @rule(start_in_s=st.sampled_from([0.0, 0.1, 5.0]))
    def schedule(self, start_in_s: float) -> None:
        with contextlib.suppress(BelaError):
            self.one.schedule(variables=NAMES, start_in_s=start_in_s, duration_s=0.1)

    @rule(periods=st.sampled_from([0, 50, 5000]))
    def monitor(self, periods: int) -> None:
        with contextlib.suppress(BelaError):
            self.one.monitor(variables="a", periods=periods)

    @rule(value=st.integers(-5, 5))
    def control(self, value: int) -> None:
        with contextlib.suppress(BelaError):
            self.one.set(b=value)

    @rule()
    def release(self) -> None:
        with contextlib.suppress(BelaError):
            self.one.release()

    @rule()
    def look(self) -> None:
        with contextlib.suppress(BelaError):
            assert len(self.one.list()["variables"]) in (2, 3)

    # ---- faults and time -------------------------------------------------------------------

    @rule(case=st.sampled_from(QUICK_CASES))
    def fault(self, case: Case) -> None:
        case.strike(self.board, 0.0)
        self.troubles.append(case)
        self.n_steps += case.steps

    @rule(duration_s=st.sampled_from([0.01, 0.03, 0.1]))
    def let_pass(self, duration_s: float) -> None:
        time.sleep(duration_s)

    # ---- what must hold --------------------------------------------------------------------

    def check_account(self) -> None:
        """Check the account of what has just ended, as far as it can be known."""
        for name in self.streaming:
            status = self.one.streams.get(f"bela_{name}")
            if status is None or any(case.restarts or case.steps for case in self.troubles):
                continue
            counts = check_values(self.board, self.one.sink, f"bela_{name}", worst_s=0.05)
            missing = taken(self.board, name) - counts.get(name, 0) - status["lost"]
            assert missing >= 0, f"{name}: {counts}, {status['lost']} lost, {missing} missing"
            if not any(case.disconnects for case in self.troubles):
                assert missing == 0, f"{name}: {counts}, {status['lost']} lost, {missing} missing"

    def teardown(self) -> None:
        """Check that the session can still be commanded, and leaves nothing behind."""
        try:
            self.board.end_faults()
            until(lambda: not self.board.silent, "the board speaks")
            self.stop()
            with contextlib.suppress(BelaError):
                self.one.stop()
            until(self.is_connected, "a connection")
            self.one.start("a")
            blocks = self.n_blocks
            until(lambda: self.n_blocks > blocks, "blocks")
            self.one.stop()
            self.one.release()
            until(lambda: self.left_by_us() == ([], {}, {}), "a clean board")
            self.check_all_values()
        finally:
            self._stack.close()

    def is_connected(self) -> bool:
        with contextlib.suppress(BelaError):
            self.one.list()
        return bool(self.one.session.status()["board"]["connected"])

    @property
    def n_blocks(self) -> int:
        return int(self.one.session.status()["counters"]["blocks"])

    def left_by_us(self) -> tuple[list[str], dict[str, int], dict[str, float]]:
        watched, monitored, controlled = left_on(self.board)
        others = any(case.name == "other-watch" for case in self.troubles)
        return [] if others else watched, monitored, controlled

    def check_all_values(self) -> None:
        for stream in list(self.one.sink.kept):
            n_misplaced = BLOCK_VALUES * self.n_steps
            worst_s = 0.05 + STEP_S * self.n_steps
            if not stream.endswith("_monitor"):
                check_values(
                    self.board, self.one.sink, stream, worst_s=worst_s, n_misplaced=n_misplaced
                )


@pytest.fixture
def no_failure(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    failures = [record.getMessage() for record in caplog.records if record.exc_info]
    assert not failures


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("no_failure")
def test_walks() -> None:
    walks = settings(
        max_examples=N_WALKS or 200,
        stateful_step_count=N_STEPS,
        derandomize=not N_WALKS,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
        print_blob=False,
    )
    run_state_machine_as_test(Walk, settings=walks)
