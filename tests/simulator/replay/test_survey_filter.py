"""Blocks of surveys are left out of what is played again; all else stays, byte for byte."""

from __future__ import annotations

from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.protocol.variables import PAYLOAD_BYTES, ValueType, Variable
from bela_module.simulator.replay.survey_filter import SurveyFilter

VARIABLES = (Variable(0, "a", ValueType.FLOAT), Variable(1, "b", ValueType.FLOAT))
BLOCK = bytes(PAYLOAD_BYTES)
SINGLE = bytes(12)


def played(surveys: SurveyFilter, *messages: bytes) -> list[bytes]:
    return [m for k, message in enumerate(messages) for _, m in surveys.pass_on(k, message)]


def test_the_block_of_a_survey_is_left_out_and_single_values_are_not() -> None:
    surveys = SurveyFilter(VARIABLES)
    surveys.note([monitor_command(["a"], [2]), watch_command(["a"], [0], [100])])
    messages = [b"0/f", SINGLE, b"1/f", BLOCK, b"0/f", BLOCK]
    assert played(surveys, *messages) == messages[:4]


def test_a_start_and_a_schedule_are_no_surveys() -> None:
    surveys = SurveyFilter(VARIABLES)
    surveys.note([watch_command(["a"], [0], [100])])
    surveys.note([watch_command(["a"], [5000])])
    assert played(surveys, b"0/f", BLOCK) == [b"0/f", BLOCK]
    surveys.note([watch_command(["b"], [7000], [100])])
    assert played(surveys, b"1/f", BLOCK) == [b"1/f", BLOCK]
    surveys.note([watch_command(["b"])])
    assert played(surveys, b"1/f", BLOCK) == [b"1/f", BLOCK]


def test_what_lacks_its_header_or_payload_stays_as_it_was() -> None:
    surveys = SurveyFilter(VARIABLES)
    messages = [BLOCK, b"0/f", b"1/f", BLOCK, b"7/f", BLOCK, b"noise", b"0/f"]
    assert [*played(surveys, *messages), *(m for _, m in surveys.finish())] == messages
    assert surveys.finish() == []


def test_commands_that_make_no_sense_change_nothing() -> None:
    surveys = SurveyFilter(VARIABLES)
    surveys.note([{"cmd": "watch"}, {"cmd": "watch", "watchers": "a", "durations": [1]}, {}])
    assert played(surveys, b"0/f", BLOCK) == [b"0/f", BLOCK]
