"""All inputs together: what they need of the board, and their problems."""

from __future__ import annotations

from bela_module.session.inputs.active_inputs import ActiveInputs
from tests.support.made_input import Made


def test_nothing_is_needed_without_any() -> None:
    inputs = ActiveInputs()
    assert not any((inputs.needs_board, inputs.needs_data, inputs.must_leave))
    assert (inputs.controlled, inputs.problems, inputs.status(lambda: 0.0)) == (set(), (), [])


def test_buffers_need_the_data_websocket_and_variables_control() -> None:
    inputs = ActiveInputs()
    buffer, variable = Made(), Made(variables="gain")
    inputs.by_name["gain"] = variable.one
    assert inputs.needs_board
    assert not inputs.needs_data
    assert inputs.controlled == set()  # without a value
    inputs.by_name["level"] = buffer.one
    assert inputs.needs_data
    assert len(inputs.problems) == 2
    for made in (buffer, variable):
        made.found()
    assert inputs.problems == ()
    variable.put(1)
    assert variable.one.claim_control()
    assert inputs.controlled == {"gain"}
    assert [one["name"] for one in inputs.status(lambda: 0.0)] == ["level", "level"]
    for made in (buffer, variable):
        made.one.stop("stopped")
    assert not any((inputs.needs_board, inputs.needs_data))


def test_a_default_is_still_to_be_sent_at_the_end() -> None:
    inputs = ActiveInputs()
    made = Made(on_end="default", default=1).found()
    inputs.by_name["level"] = made.one
    assert inputs.must_leave
    made.one.stop("stopped")
    assert inputs.must_leave
    assert inputs.needs_data
    assert made.sent() == [[1]]
    assert not inputs.must_leave
