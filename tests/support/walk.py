"""One random walk over commands and faults: a session on a board, and what must hold of both."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from bela_module.errors import BelaError, BoardError, RequestError
from bela_module.requests import StartRequest
from bela_module.simulator.network.delays import NO_DELAY
from bela_module.streams.lsl_clock import local_clock
from tests.support.accounts import BLOCK_VALUES, Ledger, Window, stated_s
from tests.support.fault_cases import NAMES, Case, check_values, make_board
from tests.support.raw_client import raw_client
from tests.support.session_helpers import KeptStream, Running, answer, left_on, session_at
from tests.support.waiting import until
from tests.support.walk_tally import BESIDE, FAULTS, Tally

RUNNING_SINCE_TICK = 2_000_000
REPLY_TIMEOUT_S = 1.0
CLOSED_S = 5.0
MARK_DOUBT_S = 0.05  # a schedule's events are told as soon as their ticks should have happened


WATCHING = ("other-watch", "restart-renumbered-watched")


class Streaming:
    """What runs, from the command on, and what has happened to it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.since_s = local_clock()
        self.window: Window | None = None
        self.saved_as = ""
        self.faults: list[Case] = []


class Walk(RuleBasedStateMachine):
    """One session on one board, its commands and its faults in any order."""

    tally: ClassVar[Tally]
    grouped: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.begun_s = local_clock()
        self.board = self.stack.enter_context(make_board(first_tick=RUNNING_SINCE_TICK))
        tables: dict[str, Any] = {
            "board": {"reply_timeout_s": REPLY_TIMEOUT_S},
            "recording": {"dir": str(self.folder), "format": "compact"},
        }
        if self.grouped:
            tables["streams"] = {"both": {"variables": list(NAMES)}}
        self.one: Running = self.stack.enter_context(session_at(self.board.port, **tables))
        self.streaming: Streaming | None = None
        self.faults: list[Case] = []
        self.others: set[int] = set()
        self.saved: dict[str, dict[str, KeptStream]] = {}
        self.ends_with_close = False

    @initialize(
        names=st.sampled_from([("a",), ("b",), NAMES, NAMES]),
        saving=st.booleans(),
        ends_with_close=st.booleans(),
    )
    def begin(self, names: tuple[str, ...], saving: bool, ends_with_close: bool) -> None:
        """Begin with a stream: hardly anything can go wrong without one."""
        self.ends_with_close = ends_with_close
        self.start(NAMES if self.grouped else names, saving, at_once=False)

    # ---- what streams ----------------------------------------------------------------------

    @precondition(lambda self: self.streaming is None)
    @rule(
        names=st.sampled_from([("a",), ("b",), NAMES, NAMES]),
        saving=st.booleans(),
        at_once=st.booleans(),
    )
    def start(self, names: tuple[str, ...], saving: bool, at_once: bool) -> None:
        """START; it waits for a board that is away."""
        now = self.expect(names)
        now.saved_as = f"walk{len(self.saved)}" if saving else ""
        request = StartRequest(
            variables=names, saving_enabled=saving, saving_filename=now.saved_as or None
        )
        said = answer(self.one.session.start(request))
        assert said.startswith(("streaming ", "waiting for the board")), said
        until(lambda: self.was_marked("started"), "the start")
        if not at_once:
            until(self.has_samples, "samples")

    @precondition(lambda self: self.streaming is None)
    @rule(names=st.sampled_from([("a",), NAMES]), duration_s=st.sampled_from([0.05, 0.2]))
    def schedule(self, names: tuple[str, ...], duration_s: float) -> None:
        self.calm()
        now = self.expect(names)
        asked: dict[str, Any] = {"start_in_s": 0.15, "duration_s": duration_s}
        with contextlib.suppress(RequestError) if self.is_slow else contextlib.nullcontext():
            said = self.one.schedule(variables=names, **asked)
            if said.startswith("waiting for the board"):  # a fault that was still to come
                assert self.one.stop().startswith("stopped")
            else:
                now.window = Window.of_answer(said)
        if now.window is None:  # refused, for the clock is not known soon on a slow network
            self.streaming = None

    @precondition(lambda self: self.is_scheduled)
    @rule()
    def await_schedule(self) -> None:
        """Let a schedule come to its end by itself; a restart ends it as well."""
        until(lambda: self.was_marked("schedule_finished", "stopped"), "the end of the schedule")
        self.calm()  # by then STATUS knows it
        self.check_account(cut_off=False)

    @precondition(lambda self: self.streaming is not None)
    @rule()
    def stop(self) -> None:
        said = self.one.stop()
        assert said.startswith("stopped") or self.was_marked("schedule_finished", "stopped"), said
        self.check_account(cut_off=said != "stopped")

    # ---- faults ----------------------------------------------------------------------------

    @precondition(lambda self: self.streaming is not None)
    @rule(case=st.sampled_from(sorted(FAULTS)), then_s=st.sampled_from([0.0, 0.03, 0.1, 0.3]))
    def fault(self, case: str, then_s: float) -> None:
        self.strike(case)
        time.sleep(then_s)

    @precondition(lambda self: self.streaming is not None)
    @rule(case=st.sampled_from(sorted(FAULTS)))
    def fault_that_passes(self, case: str) -> None:
        self.strike(case)
        time.sleep(FAULTS[case].lasts_s)
        self.calm()

    @precondition(lambda self: self.streaming is not None)
    @rule(one=st.sampled_from(sorted(FAULTS)), other=st.sampled_from(sorted(FAULTS)))
    def two_faults(self, one: str, other: str) -> None:
        self.strike(one)
        self.strike(other)

    @precondition(lambda self: self.streaming is not None)
    @rule(case=st.sampled_from(sorted(FAULTS)))
    def fault_at_the_stop(self, case: str) -> None:
        """What happens just when the board has been told to stop."""
        self.board.with_next("unwatch", lambda: self.strike(case))
        self.stop()

    @precondition(lambda self: self.streaming is None)
    @rule(case=st.sampled_from(sorted(FAULTS)))
    def fault_while_idle(self, case: str) -> None:
        self.strike(case)

    def strike(self, name: str) -> None:
        case = FAULTS[name]
        case.strike(self.board)
        self.faults.append(case)
        if self.streaming is not None:
            self.streaming.faults.append(case)
            self.tally.note_fault(case.name)

    # ---- commands beside it ----------------------------------------------------------------

    @rule(which=st.sampled_from(BESIDE))
    def command(self, which: str) -> None:
        """Ask for something that must succeed, since the board is there and answers.

        A fault that is still to come may end the connection meanwhile, each of them once.
        """
        for _ in range(1 + sum(not case.keeps_writing for case in self.faults)):
            self.calm()
            with contextlib.suppress(BoardError):
                getattr(self, which)()
                self.tally.note(which)
                return
        pytest.fail(f"{which} did not succeed")

    @rule()
    def whatever_the_connection(self) -> None:
        """Ask without any care: there is an answer, or a reason why not."""
        with contextlib.suppress(BelaError):
            names = [variable["name"] for variable in self.one.list()["variables"]]
            assert names == [variable.name for variable in self.board.sketch.variables]
        with contextlib.suppress(BelaError):
            self.one.set(a=1.0)

    def monitor(self) -> None:
        if "bela_a" in self.one.sink.plans:  # then the monitor's stream gets a name of its own
            assert self.one.monitor(variables="a", periods=500) == "monitoring a"

    def control(self) -> None:
        self.one.set(b=3)
        assert self.board.controlled_values()["b"] == 3

    def release(self) -> None:
        self.one.release()
        assert self.board.controlled_values() == {}

    def send(self) -> None:
        before = len(self.board.received_buffers)
        self.one.send(buffer_id=1, type="f", data=[1.0, 2.0])
        until(lambda: len(self.board.received_buffers) == before + 1, "the buffer")

    def start_again(self) -> None:
        """START what streams already, or something else, which is refused."""
        if self.streaming is None or self.was_marked("schedule_finished", "stopped"):
            return
        names = self.streaming.names
        if not self.is_scheduled:
            assert self.one.start(*names) == "already streaming"
        with pytest.raises(RequestError, match="already; STOP first"):
            self.one.start(*(("b",) if names == ("a",) or self.is_scheduled else ("a",)))

    def stranger(self) -> None:
        """Another client comes, maybe to stay, and asks for lists, which come to all."""
        if not self.others:
            client = self.stack.enter_context(raw_client(self.board.url))
            self.others.add(client.control.local_address[1])
            for _ in range(5):
                client.list()

    # ---- what must hold --------------------------------------------------------------------

    @property
    def is_scheduled(self) -> bool:
        return self.streaming is not None and self.streaming.window is not None

    @property
    def is_slow(self) -> bool:
        return any(case.name == "slow-asymmetric" for case in self.faults)

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """What STATUS says of the streams of what runs, without those of monitors."""
        return {name: self.one.streams[name] for name in self.stream_names}

    @property
    def stream_names(self) -> list[str]:
        """What the streams of what runs are called."""
        assert self.streaming is not None
        names = self.streaming.names
        return ["bela_both"] if self.grouped and names == NAMES else [f"bela_{n}" for n in names]

    def has_samples(self) -> bool:
        """Tell whether something came of all streams; STATUS has them soon after their start."""
        known = self.one.streams
        return all(name in known and known[name]["samples"] for name in self.stream_names)

    def expect(self, names: tuple[str, ...]) -> Streaming:
        """Take note that something is to stream from now on."""
        self.one.sink.kept.update({name: KeptStream() for name in self.one.sink.kept})
        self.streaming = Streaming(names)
        return self.streaming

    def was_marked(self, *events: str) -> bool:
        """Tell whether an event came since what runs was asked for."""
        assert self.streaming is not None
        since_s = self.streaming.since_s
        return any(
            text.startswith(events) and at_s >= since_s for text, at_s in list(self.one.sink.marks)
        )

    def calm(self) -> None:
        """Wait until commands must succeed."""
        assert self.board.losses is not None  # what was to happen at once has happened by now

        def answers() -> bool:
            with contextlib.suppress(BelaError):
                self.one.list()
                return True
            return False

        until(answers, "a connection")

    def check_account(self, *, cut_off: bool) -> None:
        """Check the account of what has just ended."""
        assert self.streaming is not None
        now, streams = self.streaming, self.streams
        # What struck shortly before the start may have lasted until then.
        struck = [*now.faults, *self.faults[-2:]]
        holes_s = [case.hole_s for case in struck if case.hole_s]
        unread = [case for case in self.faults if case.name == "wrong-reply"]
        ledger = Ledger(
            self.board,
            self.one.sink,
            since_s=now.since_s,
            window=now.window,
            cut_off=cut_off,
            others=frozenset(self.others),
            assigns=all(case.assigns for case in struck),
            lasted=not any(case.disconnects for case in struck),
            n_unsure=2 + 2 * len(unread) + len(now.faults),
            n_cut=1 + len(now.faults) if any(case.skips for case in struck) else None,
        )
        limits = {
            "worst_s": stated_s(self.one.sink) + sum(holes_s),
            "n_misplaced": BLOCK_VALUES * len(holes_s),
        }
        for account in ledger.accounts(streams, **limits):
            account.check()
            self.note_account(now, account.truth.exact, restarted=self.board.restarts > 0)
        self.check_monitored()
        self.check_marks()
        self.streaming = None
        if now.saved_as:
            self.saved[now.saved_as] = {name: self.one.sink.kept[name] for name in streams}

    def note_account(self, now: Streaming, exact: bool, *, restarted: bool) -> None:
        faults = {case.name for case in now.faults}
        if exact and faults:
            self.tally.note("exact after a fault")
            if len(faults) > 1:
                self.tally.note("exact after more than one fault")
        elif any(case.restarts for case in now.faults) and restarted:
            self.tally.note("bounded after a restart")
        if now.window is not None:
            self.tally.note("schedule")
        if len(now.names) > 1 and self.grouped:
            self.tally.note("group")

    def check_marks(self) -> None:
        """Check that no event is said to have happened before it could, or later than now.

        Where ticks were left out, the time of a loss is off by as much as that of the samples.
        """
        doubt_s = sum(case.hole_s for case in self.faults)
        for text, at_s in list(self.one.sink.marks):
            earliest_s = self.begun_s - (doubt_s if text.startswith("gap ") else 0.0)
            assert earliest_s <= at_s <= local_clock() + MARK_DOUBT_S, f"{text} at {at_s}"

    def check_monitored(self) -> None:
        for name, status in self.one.streams.items():
            if status["mode"] == "monitor":
                check_values(self.board, self.one.sink, name, worst_s=math.inf)

    def teardown(self) -> None:
        """Check that the session can still be commanded, and leaves nothing behind."""
        with self.stack:
            self.board.end_faults()
            self.board.set_network(NO_DELAY)
            until(lambda: not self.board.silent, "the board speaks")
            if self.ends_with_close:
                self.close()
            else:
                self.end()
            self.check_files()

    def end(self) -> None:
        if self.streaming is not None:
            self.stop()
        self.one.stop()
        self.start(("a",), saving=False, at_once=False)
        self.calm()
        self.stop()
        self.calm()
        self.one.release()
        until(lambda: self.left_by_us() == ([], {}, {}), "a clean board")
        self.one.session.close()

    def close(self) -> None:
        """CLOSE in the middle of it: the board is left clean, and the account is right."""
        self.calm()
        streamed = self.streaming is not None
        begun_s = time.monotonic()
        self.one.session.close()
        assert time.monotonic() - begun_s < CLOSED_S
        until(lambda: self.left_by_us() == ([], {}, {}), "a clean board")
        if streamed:
            self.check_account(cut_off=False)
            self.tally.note("closed while it streamed")

    def left_by_us(self) -> tuple[list[str], dict[str, int], dict[str, float]]:
        watched, monitored, controlled = left_on(self.board)
        others = any(case.name in WATCHING for case in self.faults)
        return [] if others else watched, monitored, controlled

    def check_files(self) -> None:
        """Check that what was to be saved is what went out."""
        for saved_as, streams in self.saved.items():
            for name, kept in streams.items():
                rows = np.load(self.folder / f"{name}_{saved_as}.npy")
                np.testing.assert_array_equal(rows["tick"], kept.ticks)
                np.testing.assert_array_equal(rows["lsl_s"], kept.stamps_s)
                self.tally.note("saved")
