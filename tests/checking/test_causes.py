"""Causes that change many figures at once."""

from __future__ import annotations

from bela_module.checking.causes import (
    even_streams,
    find_break,
    lost_to_others,
    too_close,
    typical_round_trip_s,
    uneven_variables,
)
from bela_module.checking.facts import RoundTrips
from bela_module.tracking.runs import GapReason
from tests.support.check_facts import (
    change_board,
    change_run,
    change_status,
    healthy_facts,
    stream,
    with_run,
    with_streams,
)


def test_each_uneven_variable_is_named_once() -> None:
    facts = change_run(
        problems=(
            "a, b: assigned unevenly, while its blocks carry one tick each",
            "a, b: not assigned all the time, while its blocks carry one tick each",
        )
    )(healthy_facts())
    assert uneven_variables(facts) == ["a", "b"]
    with_both = with_streams(facts, stream(), stream("bela_check_b"))
    with_both = with_run(with_both, problems=facts.run.problems)
    assert [one["name"] for one in even_streams(with_both)] == ["bela_check_pot1"]


def test_only_what_others_have_cut_is_lost_to_them() -> None:
    losses = {
        "bela_check_pot1": {GapReason.RESTARTED: 480, GapReason.CUT: 20, GapReason.LOST: 1024},
        "bela_check_touch": {GapReason.TOO_CLOSE: 3},
    }
    facts = with_run(
        with_streams(healthy_facts(), stream(lost=1524), stream("bela_check_touch", lost=3)),
        losses=losses,
    )
    assert lost_to_others(facts) == {"bela_check_pot1": 500}
    assert too_close(facts) == {"bela_check_touch": 3}


def test_a_recording_that_has_been_played_is_no_break() -> None:
    facts = change_status(counters={"reconnects": 1})(healthy_facts())
    assert find_break(facts) == "connection lost"
    assert find_break(with_run(facts, is_playback=True)) == ""


def test_replies_that_seem_too_quick_do_not_hide_a_slow_network() -> None:
    facts = change_board(replies_s=(0.1, 0.11, 0.1))(healthy_facts())
    facts = with_run(facts, round_trips=RoundTrips((0.02,) * 20))
    assert typical_round_trip_s(facts) == 0.1
