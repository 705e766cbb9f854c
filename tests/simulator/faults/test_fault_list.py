"""Faults are written as text, checked before they happen, and described as they are written."""

from __future__ import annotations

import pytest

from bela_module.errors import RequestError, UnknownVariableError
from bela_module.protocol.control_commands import watch_command
from bela_module.simulator.faults.fault_list import (
    FAULTS,
    Fault,
    check_variables,
    describe_faults,
    parse_fault,
)
from bela_module.simulator.faults.message_faults import DropHeader, DropPair, WrongReply
from bela_module.simulator.faults.timed_faults import (
    Disconnect,
    Drift,
    LateBurst,
    OtherClient,
    Restart,
    Silence,
    StepClock,
    Unassigned,
    Underrun,
)
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.built_in import find_sketch
from tests.support.raw_client import raw_client


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop-header", DropHeader()),
        ("drop-pair:p=0.5,n=3,variable=pot1", DropPair(p=0.5, n=3, variable="pot1")),
        ("disconnect:at_s=10,every_s=60,clean=true", Disconnect(10.0, 60.0, clean=True)),
        ("restart:sketch=ramps,first_tick=5,", Restart(sketch="ramps", first_tick=5)),
        ("silence:socket=data", Silence(socket="data")),
        ("underrun:ms=3.6,every_s=3", Underrun(every_s=3.0)),
        ("late-burst:ms=20,at_s=1", LateBurst(1.0, ms=20.0)),
        ("wrong-reply:how=empty", WrongReply(how="empty")),
        (
            "other-client:cmd=monitor,variables=a+b,period_ticks=9",
            OtherClient(cmd="monitor", variables="a+b", period_ticks=9),
        ),
    ],
)
def test_faults_are_read_from_text(text: str, expected: Fault) -> None:
    assert parse_fault(text) == expected


SECONDS = "it must be 0 to 86400 s"
LASTING = "it must be 0.001 to 86400 s"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "no fault 'nope'; there are drop-header"),
        ("drop-pair:q=1", "has no 'q'; it has p, n, variable"),
        ("drop-pair:p=1,p=1", "the fault 'drop-pair' was given 'p' twice"),
        ("drop-pair:p=much", "p='much' of the fault 'drop-pair': it must be 0 to 1"),
        ("drop-pair:p=2", "p=2.0 of the fault 'drop-pair': it must be 0 to 1"),
        ("drop-pair:n=1.5", "n='1.5' of the fault 'drop-pair': it must be a whole number, 0 to"),
        ("wrong-reply:variable=a", "has no 'variable'; it has p, n, how"),
        ("wrong-reply:how=badly", "it must be one of turn, cut, text, binary"),
        ("disconnect:clean=maybe", "it must be true or false"),
        ("disconnect:socket=usb", "it must be one of both, control, data"),
        ("disconnect:every_s=1e-7", "every_s=1e-07 of the fault 'disconnect': it must be 0, or"),
        ("refuse:for_s=-1", LASTING),
        ("silence:for_s=nan", LASTING),
        ("stall:at_s=-1", SECONDS),
        ("stall:for_s=-3", LASTING),
        ("pause:for_s=inf", LASTING),
        ("silence:for_s=3,every_s=2", "every_s=2.0 of the fault 'silence': it must be 0, or above"),
        ("slow:to_client_s=-1", "it must be 0 to 3600 s"),
        ("slow:spike_share=7", "spike_share=7.0 of the fault 'slow': it must be 0 to 1"),
        ("restart:sketch=nope", "it must be one of .*simulation, potentiometers"),
        ("restart:first_tick=-5", "it must be a whole number, 0 to 1e.15"),
        ("restart:first_tick=1e23", "first_tick='1e23' of .* it must be a whole number"),
        ("restart:down_s=-1", SECONDS),
        ("other-client:cmd=frobnicate", "it must be one of watch, unwatch, log"),
        ("other-client:period_ticks=5", "it must be 0 with cmd=unwatch"),
        ("step-clock:step_s=nan", "it must be -86400 to 86400 s"),
        ("underrun:ms=0", "ms=0.0 of the fault 'underrun': it must be 0.001 to 60000 ms"),
        ("drift:ppm=inf", "ppm=inf of the fault 'drift': it must be -500000 to 1000000 ppm"),
    ],
)
def test_wrong_text_is_refused_with_what_is_right(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as refused:
        parse_fault(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepClock(step_s=float("nan")),
        lambda: Drift(ppm=float("inf")),
        lambda: Restart(first_tick=10**23),
        lambda: OtherClient(cmd="frobnicate"),
        lambda: DropPair(p=-0.1),
    ],
)
def test_python_is_refused_the_same(make: type[Fault]) -> None:
    with pytest.raises(RequestError, match="it must be"):
        make()


def test_every_fault_is_described_as_it_is_written() -> None:
    described = describe_faults()
    assert len(described) == len(FAULTS) == 22
    for kind, lines in zip(FAULTS.values(), described, strict=True):
        assert parse_fault(lines.splitlines()[0]) == kind()


def test_descriptions_tell_meaning_range_and_unit_of_each_parameter() -> None:
    lines = "\n".join(describe_faults()).splitlines()
    assert "      for_s        how long it lasts (0.001 to 86400 s)" in lines
    assert "      socket       on which connections (one of both, control, data)" in lines
    assert "      variable     which (a variable of the sketch, or empty for all)" in lines
    assert "      ppm          how much it is faster (-500000 to 1000000 ppm)" in lines


def test_variables_must_be_of_the_sketch_or_of_one_that_a_restart_brings() -> None:
    ramps = find_sketch("ramps")
    check_variables([DropHeader(variable="ramp_d"), OtherClient(variables="ramp_d+ramp_j")], ramps)
    with pytest.raises(UnknownVariableError, match="no variable 'truth'; it offers 'ramp_d'"):
        check_variables([DropPair(variable="truth")], ramps)
    check_variables([DropPair(variable="truth"), Restart(sketch="truth")], ramps)


@pytest.mark.parametrize(
    "wrong",
    [
        DropHeader(variable="zzz"),
        OtherClient(variables="ramp_d+zzz"),
        Unassigned(variable="zzz"),
    ],
)
def test_a_board_refuses_variables_that_it_does_not_have_and_changes_nothing(wrong: Fault) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        with pytest.raises(UnknownVariableError, match="no variable 'zzz'; it offers 'ramp_d'"):
            board.inject(DropPair(), wrong)
        client.tell(watch_command(["ramp_d"]))
        assert client.block().values.size == 512
        assert not board.losses
