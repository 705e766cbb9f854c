"""What is known of the board, from replies at known times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bela_module.config import parse_settings
from bela_module.connection.client_records import ListReply
from bela_module.errors import StreamError
from bela_module.protocol.block_encoder import encode_block, encode_header, encode_monitor
from bela_module.protocol.control_channel import VariableList
from bela_module.protocol.data_channel import Block, decode_payload
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.board.board_state import BoardNews, BoardState
from bela_module.session.board.one_read import last_ticks
from bela_module.streams.stream_plans import StreamPlan, plan_streams

POT = Variable(0, "pot", ValueType.FLOAT)
TOUCH = Variable(1, "touch", ValueType.INT, sparse=True)
RATE_HZ, BURST = 22050.0, 8


def at(tick: int) -> float:
    """Give the time of a tick on the board that replies."""
    return 500.0 + tick / RATE_HZ


def replies(
    start_s: float, *, count: int = 40, booted_s: float = 500.0, **changed: Any
) -> Iterator[ListReply]:
    """Make replies of a board that ticks, in bursts, at half its declared rate since it booted."""
    for number in range(count):
        sent_s = start_s + 0.0171 * number
        asked_s = sent_s + 0.0002
        tick = math.floor((asked_s - booted_s) * RATE_HZ / BURST) * BURST
        values = {
            "sample_rate_hz": 44100.0,
            "tick": tick,
            "tick_granularity": 1,
            "variables": (POT, TOUCH),
            **changed,
        }
        yield ListReply(VariableList(**values), sent_s, sent_s + 0.0004)


def told(
    board: BoardState, start_s: float, project: str = "pots", **changed: Any
) -> list[BoardNews]:
    return [board.take_reply(reply, project) for reply in replies(start_s, **changed)]


@pytest.fixture
def board() -> BoardState:
    """Return a board that has been measured for a while."""
    board = BoardState("lab")
    assert set(told(board, 501.0)) == {BoardNews.NOTHING}
    return board


def plan(variable: Variable = POT, **stream: Any) -> StreamPlan:
    streams = {"one": {"variables": [variable.name], **stream}}
    (planned,) = plan_streams([variable], parse_settings({"streams": streams}, "test"))
    return planned


# ---- before and after the first replies --------------------------------------------------------


def test_of_a_board_never_heard_of_nothing_is_claimed() -> None:
    board = BoardState("lab")
    assert not board.ready
    assert not board.rate_settled
    assert board.uncertainty_s == math.inf
    assert board.tick_at(501.0) == 0
    assert math.isnan(board.time_at(5))
    assert board.possible_tick(501.0) == math.inf
    assert board.next_probe_in_s == 0.0
    board.add_arrival(dense(1.0), 1.0, 501.0)
    assert board.take_clock_sample(0.0) is None
    assert math.isnan(board.facts(plan(), 1.0).nominal_rate_hz)
    with pytest.raises(StreamError):
        board.stamps(np.array([5]))


def test_a_first_reply_is_not_enough_to_stamp() -> None:
    board = BoardState("lab")
    (reply,) = replies(501.0, count=1)
    assert board.take_reply(reply, "pots") is BoardNews.NOTHING
    assert not board.ready
    assert board.uncertainty_s == math.inf
    assert (board.project, board.tick) == ("pots", reply.variable_list.tick)


def test_replies_tell_variables_and_rates(board: BoardState) -> None:
    assert board.variables == (POT, TOUCH)
    assert (board.project, board.declared_rate_hz) == ("pots", 44100.0)
    assert board.ready
    assert board.rate_settled
    assert 0 < board.next_probe_in_s < 1


def test_ticks_and_times_are_those_of_the_board(board: BoardState) -> None:
    assert board.uncertainty_s < 0.001
    assert board.time_at(board.tick) == pytest.approx(at(board.tick), abs=board.uncertainty_s)
    now_s = at(board.tick)
    assert board.tick_at(now_s) == pytest.approx(board.tick, abs=board.uncertainty_s * RATE_HZ + 1)
    assert board.tick_at(0.0) == 0
    assert board.tick <= board.possible_tick(now_s + 0.0004) < board.tick + 0.01 * RATE_HZ


def test_stamps_are_near_the_truth_and_stay_as_they_were_given(board: BoardState) -> None:
    ticks = np.arange(board.tick - 1024, board.tick)
    stamps_s = board.stamps(ticks)
    assert np.abs(stamps_s - at(0) - ticks / RATE_HZ).max() < board.uncertainty_s
    assert (np.diff(stamps_s) > 0).all()
    assert set(told(board, 502.0)) == {BoardNews.NOTHING}
    np.testing.assert_allclose(board.stamps(ticks), stamps_s, rtol=0, atol=1e-9)


def test_a_block_from_the_future_is_told_from_one_that_is_early(board: BoardState) -> None:
    arrived_s = at(board.tick)

    def is_from_the_future(ahead_s: float) -> bool:
        payload = encode_monitor(POT, board.tick + round(ahead_s * RATE_HZ), 0.0)
        possible_tick = board.possible_tick(arrived_s)
        return board.is_from_the_future(decode_payload(POT, payload), possible_tick)

    assert [is_from_the_future(s) for s in (-0.5, 0.0, 0.5, 2.0, 1e9)] == [False] * 3 + [True] * 2


def test_before_the_clock_is_known_no_block_is_from_the_future() -> None:
    block = decode_payload(POT, encode_monitor(POT, 2**62, 0.0))
    assert not BoardState("lab").is_from_the_future(block, 0.0)


def test_the_input_delay_is_subtracted_from_all_times() -> None:
    plain, delayed = BoardState("lab"), BoardState("lab", input_delay_s=0.25)
    for each in (plain, delayed):
        told(each, 501.0)
    ticks = np.array([plain.tick])
    assert delayed.stamps(ticks) == pytest.approx(plain.stamps(ticks) - 0.25, abs=1e-9)
    assert delayed.time_at(plain.tick) == pytest.approx(plain.time_at(plain.tick) - 0.25, abs=1e-9)
    assert delayed.facts(plan(), 1.0).origin.input_delay_s == 0.25


# ---- news --------------------------------------------------------------------------------------


def test_ticks_that_go_back_are_a_restart(board: BoardState) -> None:
    assert board.clock is not None
    generation = board.clock.generation
    board.steps["pot"] = 1.0
    news = told(board, 510.0, booted_s=509.5)
    assert news.count(BoardNews.RESTARTED) == 1
    assert news[0] is BoardNews.RESTARTED
    assert board.counters.restarts == 1
    assert board.steps == {}
    assert board.clock.generation > generation
    assert board.ready
    ticks = np.array([board.tick])
    truth_s = 509.5 + board.tick / RATE_HZ
    assert board.stamps(ticks)[0] == pytest.approx(truth_s, abs=board.uncertainty_s)


def test_times_are_those_of_the_boot_before_until_it_is_accounted_for(board: BoardState) -> None:
    last_tick, doubt_s = board.tick, board.uncertainty_s
    told(board, 510.0, booted_s=509.5, count=2)
    assert not board.ready  # the little that is known of the new clock says nothing of old ticks
    assert board.time_at(last_tick) == pytest.approx(at(last_tick), abs=doubt_s)
    board.forget_times()
    assert math.isnan(board.time_at(last_tick))
    told(board, 510.1, booted_s=509.5)
    truth_s = 509.5 + board.tick / RATE_HZ
    assert board.time_at(board.tick) == pytest.approx(truth_s, abs=board.uncertainty_s)


def test_ticks_further_than_a_restarted_board_could_be_have_stood_still(board: BoardState) -> None:
    told(board, 520.0)
    generation = board.clock.generation if board.clock is not None else 0
    board.reconnecting = True
    news = told(board, 523.5, booted_s=502.5)  # 2.5 s less than it should have counted
    assert set(news) == {BoardNews.NOTHING}
    assert board.counters.restarts == 0
    assert board.clock is not None
    assert (board.clock.generation, board.clock.discontinuities) == (generation, 1)
    assert board.clock.last_jump_s == pytest.approx(2.5, abs=0.01)
    assert not board.is_off


@pytest.mark.parametrize("booted_s", [500.0, 500.3])
def test_what_was_hardly_known_of_a_clock_is_forgotten_with_the_connection(booted_s: float) -> None:
    board = BoardState("lab")
    told(board, 500.5, count=3)
    board.reconnecting = True  # by then it may count from zero, and be further
    news = told(board, 501.0, booted_s=booted_s)
    assert set(news) == {BoardNews.NOTHING}
    assert board.clock is not None
    assert (board.clock.generation, board.clock.discontinuities) == (1, 0)
    truth_s = booted_s + board.tick / RATE_HZ
    assert board.uncertainty_s < 0.001
    assert board.time_at(board.tick) == pytest.approx(truth_s, abs=board.uncertainty_s)


def test_ticks_that_went_back_are_a_restart_however_little_is_known() -> None:
    board = BoardState("lab")
    told(board, 500.5, count=3)
    board.reconnecting = True
    news = told(board, 501.0, booted_s=500.8)
    assert (news[0], set(news[1:])) == (BoardNews.RESTARTED, {BoardNews.NOTHING})
    assert board.clock is not None
    assert board.clock.generation == 2


@pytest.mark.parametrize(
    ("project", "changed"), [("other", {}), ("pots", {"sample_rate_hz": 48000.0})]
)
def test_another_project_or_rate_is_another_board(
    project: str, changed: dict[str, Any], board: BoardState
) -> None:
    assert board.clock is not None
    generation = board.clock.generation
    board.steps["pot"] = 1.0
    news = told(board, 502.0, project, **changed)
    assert [index for index, each in enumerate(news) if each is BoardNews.RESTARTED] == [0]
    assert board.counters.restarts == 1
    assert board.steps == {}
    assert board.clock.generation > generation
    assert board.project == project
    assert board.declared_rate_hz == changed.get("sample_rate_hz", 44100.0)


def test_another_list_of_variables_is_what_blocks_are_read_by(board: BoardState) -> None:
    renamed = Variable(0, "renamed", ValueType.DOUBLE)
    told(board, 502.0, variables=(renamed,))
    assert board.find({"pot", "renamed"}) == (renamed,)
    assert board.decoder.receive(encode_header(renamed)) is None
    block = board.decoder.receive(encode_monitor(renamed, 7, 0.5))
    assert isinstance(block, Block)
    assert block.variable is renamed


# ---- what outlets are told ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step_ticks", "rate_hz"), [(1.0, 22050.0), (2.0, 11025.0), (441.0, 50.0), (None, 0.0)]
)
def test_the_nominal_rate_is_the_true_one(
    step_ticks: float | None, rate_hz: float, board: BoardState
) -> None:
    facts = board.facts(plan(), step_ticks)
    assert facts.nominal_rate_hz == pytest.approx(rate_hz, rel=1e-9)
    assert facts.origin == board.origin()


def test_streams_are_told_where_they_come_from(board: BoardState) -> None:
    origin = board.origin()
    assert (origin.board, origin.project) == ("lab", "pots")
    assert origin.tick_rate_hz == pytest.approx(22050.0, rel=1e-3)
    assert origin.declared_rate_hz == 44100.0
    assert origin.uncertainty_s == board.uncertainty_s
    assert origin.input_delay_s == 0.0


def test_a_configured_rate_overrides_the_measured_one(board: BoardState) -> None:
    assert board.facts(plan(nominal_rate_hz=1000.0), 1.0).nominal_rate_hz == 1000.0


def test_irregular_streams_have_no_rate(board: BoardState) -> None:
    assert board.facts(plan(TOUCH), None).nominal_rate_hz == 0.0
    assert board.facts(plan(mode="monitor"), 1.0).nominal_rate_hz == 0.0


# ---- what a block proves -----------------------------------------------------------------------


def dense(last_value: float) -> Block:
    values = np.ones(1024)
    values[-1] = last_value
    return decode_payload(POT, encode_block(POT, 100, values))


@pytest.mark.parametrize(
    ("block", "step_ticks", "expected"),
    [
        (dense(1.0), 1.0, 1123),
        (dense(1.0), 2.0, 2146),
        (dense(1.0), 0.5, 611),
        (dense(1.0), 1.6, 1123),  # a mean: at least one tick lies between two values
        (dense(1.0), None, 100),
        (dense(0.0), 1.0, 100),
        (decode_payload(POT, encode_monitor(POT, 100, 0.0)), None, 100),
        (
            decode_payload(TOUCH, encode_block(TOUCH, 100, np.zeros(3), np.array([0, 12, 30]))),
            None,
            130,
        ),
    ],
    ids=["step 1", "step 2", "step 1/2", "uneven", "no step", "maybe padded", "monitor", "sparse"],
)
def test_the_last_tick_that_a_block_proves(
    block: Block, step_ticks: float | None, expected: int
) -> None:
    assert last_ticks(block, step_ticks)[0] == expected


def test_a_full_block_is_presumed_to_end_with_its_last_value() -> None:
    assert last_ticks(dense(0.0), 1.0)[1] == 1123
    assert last_ticks(dense(0.0), None)[1] is None


def test_a_late_block_is_stated_until_the_next_one(board: BoardState) -> None:
    sure_s = board.uncertainty_s
    first = board.tick // 1024 * 1024
    for number, late_s in enumerate((0.0002, 0.02, 0.0002)):
        block = decode_payload(POT, encode_block(POT, first + 1024 * number, np.ones(1024)))
        end_s = at(first + 1024 * number + 1023)
        board.add_arrival(block, 1.0, end_s + late_s)
        assert board.uncertainty_s == pytest.approx(max(late_s, sure_s), abs=0.0002)


def test_a_sample_of_the_clock_settles_no_stamps(board: BoardState) -> None:
    """The first one comes before the first block, with which the clock may know better."""
    assert board.take_clock_sample(0.0) is not None
    assert board.timeline._stamped is None
    board.stamps(np.array([board.tick], np.int64))
    assert board.timeline._stamped == board.tick


def test_a_sample_of_the_clock_covers_all_since_the_one_before(board: BoardState) -> None:
    first = board.take_clock_sample(1.7e9)
    assert first is not None
    stamp_s, sample = first
    assert stamp_s == pytest.approx(at(board.tick), abs=sample.uncertainty_s)
    assert sample.unix_s == pytest.approx(1.7e9 + stamp_s, abs=1e-6)
    assert (sample.tick, sample.rtt_s) == (board.tick, pytest.approx(0.0004))
    assert sample.tick_rate_hz == pytest.approx(RATE_HZ, rel=1e-3)
    for number, late_s in enumerate((0.02, 0.0002)):
        tick = board.tick + 1024 * number
        block = decode_payload(POT, encode_block(POT, tick, np.ones(1024)))
        board.add_arrival(block, 1.0, at(tick + 1023) + late_s)
    second, third = board.take_clock_sample(0.0), board.take_clock_sample(0.0)
    assert second is not None
    assert third is not None
    assert second[1].uncertainty_s == pytest.approx(0.02, abs=0.0002)
    assert third[1].uncertainty_s == pytest.approx(board.uncertainty_s)


def test_another_rate_than_the_declared_one_is_told_once(board: BoardState) -> None:
    assert board.rate_mismatch_warning() == (
        "the board ticks 22050 times a second, though its sketch declares 44100; "
        "streams and durations follow the ticks"
    )
    assert board.rate_mismatch_warning() is None
