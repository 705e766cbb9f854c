"""Which streams a set of variables becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bela_module.config import Settings, parse_settings
from bela_module.connection.capture_file import read_capture
from bela_module.errors import RequestError, UnknownVariableError
from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.stream_plans import StreamMode, choose_variables, plan_streams, reachable

C, J, I, F, D = ValueType  # noqa: E741
POT1 = Variable(0, "pot1", F)
POT2 = Variable(1, "pot2", F)
TOUCH = Variable(2, "touch", I, sparse=True)
COUNT = Variable(3, "count", J)
PADS = Variable(4, "pads", C, sparse=True)
BOARD = (POT1, POT2, TOUCH, COUNT, PADS)


def configured(**sections: Any) -> Settings:
    return parse_settings(sections, "test")


def names_of(variables: Sequence[Variable]) -> list[str]:
    return [variable.name for variable in variables]


# ---- formats -----------------------------------------------------------------------------------


# ---- which variables ---------------------------------------------------------------------------


def test_all_when_nothing_is_asked_or_configured() -> None:
    assert choose_variables(BOARD, None, Settings()) == BOARD
    assert choose_variables(BOARD, [], Settings()) == BOARD


def test_what_is_asked_comes_first_then_the_configured_list_then_the_groups() -> None:
    group = {"pots": {"variables": ["pot1", "pot2"]}}
    both = configured(streaming={"variables": ["touch"]}, streams=group)
    assert names_of(choose_variables(BOARD, ["count"], both)) == ["count"]
    assert names_of(choose_variables(BOARD, None, both)) == ["touch"]
    assert names_of(choose_variables(BOARD, None, configured(streams=group))) == ["pot1", "pot2"]


def test_the_order_is_the_asked_one_and_doubles_are_one() -> None:
    assert choose_variables(BOARD, ["pot2", "pot1", "pot2"], Settings()) == (POT2, POT1)


def test_unknown_names_are_all_named() -> None:
    with pytest.raises(UnknownVariableError) as caught:
        choose_variables(BOARD, ["pot1", "pot3", "Pot1"], Settings())
    assert caught.value.names == ("pot3", "Pot1")
    assert caught.value.available == ("pot1", "pot2", "touch", "count", "pads")


def test_unknown_names_of_the_configuration_are_refused_too() -> None:
    with pytest.raises(UnknownVariableError, match="'gone'"):
        choose_variables(BOARD, None, configured(streaming={"variables": ["gone"]}))


def test_a_board_without_variables() -> None:
    with pytest.raises(RequestError, match="has no variables"):
        choose_variables((), None, Settings())
    assert plan_streams((), Settings()) == ()


def test_a_repeated_name_means_the_first_as_it_does_to_the_board() -> None:
    twins = (Variable(0, "", F), Variable(1, "a", F), Variable(2, "", D), Variable(3, "a", D))
    assert reachable(twins) == (twins[0], twins[1])
    assert choose_variables(twins, ["a", ""], Settings()) == (twins[1], twins[0])


def test_repeated_and_empty_names_of_a_capture(capture_path: Callable[[str], Path]) -> None:
    replies = (
        parse_control_message(message.message)
        for message in read_capture(capture_path("manyvars"))
        if message.from_board and message.channel == "control"
    )
    variables = next(reply for reply in replies if isinstance(reply, VariableList)).variables
    chosen = choose_variables(variables, None, Settings())
    assert len(chosen) == len(set(names_of(variables))) < len(variables)
    plans = plan_streams(chosen, Settings())
    assert len({plan.name for plan in plans}) == len(plans) == len(chosen)
    assert "bela_" in {plan.name for plan in plans}
    assert [plan.variables for plan in plans] == [(variable,) for variable in chosen]


# ---- which streams -----------------------------------------------------------------------------


def test_one_stream_for_each_variable() -> None:
    plans = plan_streams(BOARD, Settings())
    assert [plan.name for plan in plans] == [f"bela_{name}" for name in names_of(BOARD)]
    assert [plan.variables for plan in plans] == [(variable,) for variable in BOARD]
    assert [plan.mode.value for plan in plans] == ["dense", "dense", "sparse", "dense", "sparse"]
    assert [plan.sample_format.value for plan in plans] == [
        "float32",
        "float32",
        "int32",
        "double64",
        "int8",
    ]
    assert all(plan.settings is None for plan in plans)
    assert plans[0].labels == ("pot1",)


def test_a_configured_group_is_one_stream_in_the_configured_order() -> None:
    settings = configured(
        streams={"knobs": {"variables": ["pot2", "pot1"]}}, streaming={"prefix": "lab_"}
    )
    group, *singles = plan_streams(BOARD, settings)
    assert group.name == "lab_knobs"
    assert group.variables == (POT2, POT1)
    assert group.labels == ("pot2", "pot1")
    assert (group.mode, group.sample_format) == (StreamMode.DENSE, SampleFormat.FLOAT32)
    assert group.settings is settings.streams["knobs"]
    assert [plan.name for plan in singles] == ["lab_touch", "lab_count", "lab_pads"]


def test_a_group_lacking_a_member_is_not_formed() -> None:
    settings = configured(streams={"knobs": {"variables": ["pot1", "pot2"]}})
    (plan,) = plan_streams([POT2], settings)
    assert (plan.name, plan.variables) == ("bela_pot2", (POT2,))


def test_configured_labels() -> None:
    settings = configured(
        streams={"knobs": {"variables": ["pot1", "pot2"], "labels": ["left", "right"]}}
    )
    assert plan_streams([POT1, POT2], settings)[0].labels == ("left", "right")


def test_an_empty_prefix() -> None:
    (plan,) = plan_streams([POT1], configured(streaming={"prefix": ""}))
    assert plan.name == "pot1"


def test_monitored_streams_by_configuration_and_by_request() -> None:
    settings = configured(streams={"slow": {"variables": ["pot1"], "mode": "monitor"}})
    plans = plan_streams([POT1, POT2], settings)
    assert [plan.mode for plan in plans] == [StreamMode.MONITOR, StreamMode.DENSE]
    plans = plan_streams([POT1, POT2, TOUCH], settings, monitor=True)
    assert [plan.mode for plan in plans] == [StreamMode.MONITOR] * 3


@pytest.mark.parametrize("mode", ["watch", "monitor"])
def test_rows_of_irregular_members_can_lack_values(mode: str) -> None:
    other = Variable(5, "other", C, sparse=True)
    settings = configured(streams={"touches": {"variables": ["touch", "other"], "mode": mode}})
    (plan,) = plan_streams([TOUCH, other], settings)
    assert plan.sample_format is SampleFormat.DOUBLE64


def test_a_dense_group_of_integers_stays_one() -> None:
    other = Variable(5, "other", C)
    whole = Variable(6, "whole", I)
    settings = configured(streams={"numbers": {"variables": ["other", "whole"]}})
    (plan,) = plan_streams([other, whole], settings)
    assert plan.sample_format is SampleFormat.INT32
