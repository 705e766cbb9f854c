"""Controls without a browser: what is sent, what follows the board, and what is left alone."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("bokeh")

from bela_module.viewing.control_panel import MAX_SHOWN_FIRST, ControlPanel, VariableControl
from bela_module.viewing.page_widgets import widget_sheet
from bela_module.viewing.time_limits import SET_SHOWN_S

Sent = list[tuple[Any, ...]]


def listed(
    name: str, value: float | None = 0.25, kind: str = "float", *, controlled: bool = False
) -> dict[str, Any]:
    return {"name": name, "type": kind, "value": value, "controlled": controlled}


def panel_of(*variables: dict[str, Any]) -> tuple[ControlPanel, Sent]:
    sent: Sent = []
    panel = ControlPanel(
        lambda name, value: sent.append((name, value)),
        lambda names: sent.append(("RELEASE", *names)),
        widget_sheet(),
    )
    panel.show(variables, 0.0, is_there=True)
    return panel, sent


def gain_of(panel: ControlPanel) -> VariableControl:
    return panel.controls["gain"]


def test_each_variable_has_a_control_that_begins_where_the_sketch_is() -> None:
    panel, sent = panel_of(listed("gain"), listed("count", 7, "int"), listed("lost", None))
    assert list(panel.controls) == ["gain", "count", "lost"]
    assert not panel.choice.visible
    assert (gain_of(panel).slider.start, gain_of(panel).slider.end) == (0, 1)
    assert gain_of(panel).slider.value == 0.25
    assert gain_of(panel).value.value is None
    assert panel.controls["count"].slider.step == 1
    assert "0.25" in gain_of(panel).label.text
    assert sent == []


def test_a_moved_slider_sets_and_the_field_shows_it() -> None:
    panel, sent = panel_of(listed("gain"))
    gain_of(panel).slider.value = 0.1 + 0.2
    assert sent == [("gain", 0.3)]
    assert gain_of(panel).value.value == 0.3


def test_an_entered_value_sets_and_widens_the_range() -> None:
    panel, sent = panel_of(listed("gain"))
    gain_of(panel).value.value = 12.5
    assert sent == [("gain", 12.5)]
    assert (gain_of(panel).slider.end, gain_of(panel).high.value) == (100, 100)
    assert gain_of(panel).slider.value == 12.5
    gain_of(panel).value.value = None
    assert len(sent) == 1


@pytest.mark.parametrize("kind", ["float", "int"])
@pytest.mark.parametrize("entered", [float("inf"), float("-inf"), float("nan")])
def test_an_entered_value_that_is_not_finite_sets_nothing(kind: str, entered: float) -> None:
    panel, sent = panel_of(listed("gain", 7, kind))
    gain_of(panel).value.value = entered
    assert sent == []
    assert gain_of(panel).slider.value == 7


def test_a_whole_variable_is_set_to_a_whole_number_that_the_field_shows() -> None:
    panel, sent = panel_of(listed("count", 7, "int"))
    panel.controls["count"].value.value = 3.7
    assert sent == [("count", 4.0)]
    assert panel.controls["count"].value.value == 4
    assert panel.controls["count"].slider.value == 4


def test_refused_ends_of_the_range_are_not_taken_for_chosen_ones() -> None:
    panel, _ = panel_of(listed("gain"))
    gain_of(panel).low.value = 2  # above the other end
    assert gain_of(panel).low.value == 0
    panel.show([listed("gain", 5.0)], 1.0, is_there=True)
    assert gain_of(panel).slider.value == 5
    assert gain_of(panel).slider.end == 10


def test_other_ends_of_the_range_set_nothing_and_stay() -> None:
    panel, sent = panel_of(listed("gain"))
    control = gain_of(panel)
    control.low.value = 0.2
    control.high.value = 0.3
    assert (control.slider.start, control.slider.end) == (0.2, 0.3)
    assert control.slider.step == pytest.approx(0.001)
    control.high.value = 0.1  # below the other end: as before
    assert (control.low.value, control.high.value) == (0.2, 0.3)
    panel.show([listed("gain", 0.9)], 1.0, is_there=True)
    assert (control.slider.end, control.slider.value) == (0.3, 0.3)
    assert sent == []


def test_release_gives_the_variable_back() -> None:
    panel, sent = panel_of(listed("gain", controlled=True))
    assert gain_of(panel).value.value == 0.25
    gain_of(panel)._let_go()
    panel.show([listed("gain", 0.75)], 1.0, is_there=True)
    assert sent == [("RELEASE", "gain")]
    assert gain_of(panel).value.value is None
    assert gain_of(panel).slider.value == 0.75


def test_what_was_set_stays_until_the_board_had_time_to_say_so() -> None:
    panel, sent = panel_of(listed("gain"))
    gain_of(panel).slider.value = 0.5
    for now_s in (0.1, SET_SHOWN_S - 0.1):  # a LIST of before
        panel.show([listed("gain", 0.25)], now_s, is_there=True)
        assert gain_of(panel).slider.value == 0.5
    panel.show([listed("gain", 0.75, controlled=True)], SET_SHOWN_S + 0.2, is_there=True)
    assert gain_of(panel).slider.value == gain_of(panel).value.value == 0.75
    assert sent == [("gain", 0.5)]


def test_it_follows_others_that_set_the_variable_even_beyond_its_range() -> None:
    panel, sent = panel_of(listed("gain"))
    panel.show([listed("gain", 5.0, controlled=True)], 1.0, is_there=True)
    assert gain_of(panel).value.value == 5.0
    assert gain_of(panel).slider.end == 10
    assert 'class="taken"' in gain_of(panel).label.text
    assert sent == []


def test_what_the_sketch_assigns_is_not_written_into_the_field() -> None:
    panel, _ = panel_of(listed("gain"))
    panel.show([listed("gain", 0.5)], 1.0, is_there=True)
    assert gain_of(panel).slider.value == 0.5
    assert gain_of(panel).value.value is None


def test_without_the_module_nothing_can_be_set() -> None:
    panel, _ = panel_of(listed("gain"))
    panel.show([listed("gain")], 1.0, is_there=False)
    control = gain_of(panel)
    assert control.slider.disabled
    assert control.value.disabled
    panel.show([listed("gain")], 2.0, is_there=True)
    assert not control.slider.disabled
    assert not control.value.disabled


def test_only_what_is_controlled_can_be_released() -> None:
    panel, _ = panel_of(listed("gain"))
    control = gain_of(panel)
    for is_there, controlled in ((True, False), (True, True), (False, True), (True, True)):
        panel.show([listed("gain", controlled=controlled)], 1.0, is_there=is_there)
        assert control.release.disabled != (is_there and controlled)


def test_of_many_variables_those_are_shown_that_are_chosen() -> None:
    many = [listed(f"v{k}") for k in range(MAX_SHOWN_FIRST + 1)]
    panel, _ = panel_of(*many)
    assert panel.choice.visible
    assert panel.controls == {}
    panel.choice.value = ["v3", "v1"]
    panel.show(many, 1.0, is_there=True)
    assert list(panel.controls) == ["v3", "v1"]
    kept = panel.controls["v1"]
    panel.choice.value = ["v1"]
    panel.show(many, 2.0, is_there=True)
    assert panel.controls == {"v1": kept}
    assert panel.area.children == [kept.layout]


def test_another_sketch_brings_its_own_controls() -> None:
    panel, _ = panel_of(listed("gain"), listed("other"))
    panel.show([listed("gain", 3, "int"), listed("level")], 1.0, is_there=True)
    assert list(panel.controls) == ["gain", "level"]  # gain again, since its type is another
    assert gain_of(panel).slider.end == 100
    panel.show([listed("level")], 2.0, is_there=True)
    assert list(panel.controls) == ["level"]


def test_of_few_variables_all_have_a_control_also_those_that_another_sketch_adds() -> None:
    panel, _ = panel_of(listed("a"), listed("b"))
    kept = panel.controls["a"]
    panel.show([listed("a"), listed("c"), listed("d")], 1.0, is_there=True)
    assert list(panel.controls) == ["a", "c", "d"]
    assert panel.controls["a"] is kept


def test_names_that_no_command_reaches_are_left_out_and_others_stay_text() -> None:
    panel, _ = panel_of(listed(""), listed("a<b>"), listed("twin", 0.1), listed("twin", 0.9))
    assert list(panel.controls) == ["a<b>", "twin"]
    assert panel.controls["twin"].slider.value == 0.1
    assert "a&lt;b&gt;" in panel.controls["a<b>"].label.text


def test_the_panel_can_be_put_away() -> None:
    panel, _ = panel_of(listed("gain"))
    panel.toggle.active = False
    assert not panel.area.visible
