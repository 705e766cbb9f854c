"""The controls of a board's variables: a slider, a field and RELEASE for each; made of Bokeh."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, Final

from bokeh.layouts import column, row
from bokeh.models import InlineStyleSheet, LayoutDOM, Row
from bokeh.models.widgets import Button, Div, MultiChoice, NumericInput, Slider, Toggle

from bela_module.validation import printable_name
from bela_module.viewing.control_ranges import (
    ControlRange,
    first_range,
    short_value,
    type_of,
)
from bela_module.viewing.page_style import CONTROL_CSS
from bela_module.viewing.time_limits import SET_SHOWN_S

MAX_SHOWN_FIRST: Final = 8
"""Of a board with more variables only those controls are shown that are chosen from a list."""
_MARGIN_PX: Final = (2, 3, 2, 3)
_SHOWN_WHOLE: Final = 1e8
_TAKEN_WORDS: Final = "controlled: the sketch reads the value that was set"

SetVariable = Callable[[str, float], None]
ReleaseVariables = Callable[[Sequence[str]], None]


class VariableControl:
    """The control of one variable.

    What the user sets stays on the screen while it is on its way; else the control follows the
    board, which others may command, too.

    Parameters
    ----------
    listed : mapping
        The variable, as LIST describes it.
    on_set : callable
        Told the name and the value that the user has chosen.
    on_release : callable
        Told the names of which the user gives up the control.
    sheets : sequence of InlineStyleSheet
        Style of the widgets.
    """

    def __init__(
        self,
        listed: Mapping[str, Any],
        on_set: SetVariable,
        on_release: ReleaseVariables,
        sheets: Sequence[InlineStyleSheet],
    ) -> None:
        self.name = str(listed["name"])
        self.value_type = type_of(listed["type"])
        self._on_set, self._on_release = on_set, on_release
        self._range = first_range(self.value_type, _number(listed["value"]))
        self._has_chosen_ends = False
        self._is_following = False
        self._follows_from_s = -math.inf
        common: dict[str, Any] = {"stylesheets": list(sheets), "margin": _MARGIN_PX}
        field: dict[str, Any] = {"mode": "float", "width": 66, **common}
        name = printable_name(self.name)
        self.label = Div(
            name=f"label {name}", disable_math=True, sizing_mode="stretch_width", **common
        )
        self.slider = Slider(
            start=self._range.low,
            end=self._range.high,
            step=self._range.step,
            value=self._range.low,
            show_value=False,
            title=None,
            name=f"slider {name}",
            min_width=90,
            sizing_mode="stretch_width",
            **common,
        )
        self.low = NumericInput(
            title=f"lower end of {name}", value=self._range.low, name=f"low {name}", **field
        )
        self.high = NumericInput(
            title=f"upper end of {name}", value=self._range.high, name=f"high {name}", **field
        )
        self.value = NumericInput(
            title=f"value of {name}",
            value=None,
            placeholder="value",
            name=f"value {name}",
            **field,
        )
        self.release = Button(label="RELEASE", name=f"RELEASE {name}", width=76, **common)
        self.layout = self._arrange()
        self._listen()

    def _arrange(self) -> Row:
        middle = column(self.label, self.slider, styles={"flex": "1 1 96px"})
        styles = {"align-items": "end", "flex": "1 1 385px", "max-width": "640px"}
        return row(self.low, middle, self.high, self.value, self.release, styles=styles)

    def _listen(self) -> None:
        self.slider.on_change("value", lambda _a, _o, value: self._slide(value))
        self.value.on_change("value", lambda _a, _o, value: self._enter(value))
        for end in (self.low, self.high):
            end.on_change("value", lambda _a, _o, _n: self._read_ends())
        self.release.on_click(self._let_go)

    # ---- what the user does ------------------------------------------------------------------

    def _slide(self, position: float) -> None:
        if not self._is_following:
            value = self._range.rounded(float(position))
            with self._following():
                self.value.value = value
            self._set(value)

    def _enter(self, value: float | None) -> None:
        if self._is_following or value is None or not math.isfinite(value):
            return
        value = float(round(value)) if self._range.is_whole else float(value)
        self._take_range(self._range.including(value))
        with self._following():
            self.value.value = value
            self.slider.value = min(max(value, self._range.low), self._range.high)
        self._set(value)

    def _read_ends(self) -> None:
        low, high = self.low.value, self.high.value
        if self._is_following or low is None or high is None:
            return
        chosen = self._range.with_ends(float(low), float(high))
        self._has_chosen_ends = self._has_chosen_ends or chosen is not None
        self._take_range(chosen or self._range)

    def _let_go(self) -> None:
        self._follows_from_s = -math.inf
        self._on_release([self.name])

    def _set(self, value: float) -> None:
        self._follows_from_s = math.inf  # until the next look at the clock
        self._on_set(self.name, value)

    # ---- what the user sees ------------------------------------------------------------------

    def show(self, listed: Mapping[str, Any], now_s: float, *, is_there: bool) -> None:
        """Bring it up to date.

        Parameters
        ----------
        listed : mapping
            The variable, as LIST describes it.
        now_s : float
            Seconds, of any clock.
        is_there : bool
            Whether the module answers.
        """
        value, is_controlled = _number(listed["value"]), bool(listed["controlled"])
        words = _words(self.name, self._short(value), is_controlled=is_controlled)
        if words != self.label.text:
            self.label.text = words
        for widget in (self.slider, self.value):
            if widget.disabled == is_there:
                widget.disabled = not is_there
        if self.release.disabled == (is_there and is_controlled):
            self.release.disabled = not self.release.disabled
        if self._follows_from_s == math.inf:
            self._follows_from_s = now_s + SET_SHOWN_S
        if now_s >= self._follows_from_s:
            self._follow(value, is_controlled=is_controlled)

    def _follow(self, value: float, *, is_controlled: bool) -> None:
        if math.isfinite(value) and (is_controlled or not self._has_chosen_ends):
            self._take_range(self._range.including(value))
        # What moves by itself is not written into the field that somebody may be typing into.
        entered = self._short(value) if is_controlled and math.isfinite(value) else None
        with self._following():
            if self.value.value != entered:
                self.value.value = entered
            if math.isfinite(value):
                position = min(max(self._short(value), self._range.low), self._range.high)
                if self.slider.value != position:
                    self.slider.value = position

    def _take_range(self, wanted: ControlRange) -> None:
        ends = (wanted.low, wanted.high)
        if wanted == self._range and (self.low.value, self.high.value) == ends:
            return
        self._range = wanted
        position = min(max(float(self.slider.value), wanted.low), wanted.high)
        with self._following():
            self.slider.update(start=wanted.low, end=wanted.high, step=wanted.step, value=position)
            self.low.value, self.high.value = ends

    def _short(self, value: float) -> float:
        return short_value(self.value_type, value)

    @contextmanager
    def _following(self) -> Iterator[None]:
        """Change widgets without their being taken for the user's hand."""
        before, self._is_following = self._is_following, True
        try:
            yield
        finally:
            self._is_following = before


class ControlPanel:
    """The controls of a board's variables: of all, or with many of those that were chosen.

    Parameters
    ----------
    on_set, on_release : callable
        As of a control.
    sheet : InlineStyleSheet
        Style of all widgets.
    """

    def __init__(
        self, on_set: SetVariable, on_release: ReleaseVariables, sheet: InlineStyleSheet
    ) -> None:
        self._on_set, self._on_release = on_set, on_release
        self._sheets = (sheet, InlineStyleSheet(css=CONTROL_CSS))
        self._known: list[tuple[str, str]] = []
        self.controls: dict[str, VariableControl] = {}
        self.choice = MultiChoice(
            title="variables to set",
            options=[],
            value=[],
            placeholder="choose variables",
            name="controls",
            width=260,
            visible=False,
            stylesheets=[sheet],
        )
        self.toggle = Toggle(
            label="Controls",
            active=True,
            name="show_controls",
            width=90,
            align="end",
            stylesheets=[sheet],
        )
        self.area: Row = row(
            sizing_mode="stretch_width",
            name="control_area",
            styles={"flex-wrap": "wrap", "max-height": "38vh", "overflow-y": "auto"},
        )
        self.toggle.on_change("active", lambda _a, _o, active: self._open(active))

    def layout_models(self) -> list[LayoutDOM]:
        """Give what belongs into the bar of the commands."""
        return [self.toggle, self.choice]

    def _open(self, active: bool) -> None:
        self.area.visible = active

    def show(self, variables: Sequence[Mapping[str, Any]], now_s: float, *, is_there: bool) -> None:
        """Bring it up to date.

        Parameters
        ----------
        variables : sequence of mapping
            The board's variables, as LIST describes them.
        now_s : float
            Seconds, of any clock.
        is_there : bool
            Whether the module answers.
        """
        listed: dict[str, Mapping[str, Any]] = {}
        for one in variables:
            if one["name"]:  # what has none, or that of an earlier one, no command reaches
                listed.setdefault(str(one["name"]), one)
        known = [(name, str(one["type"])) for name, one in listed.items()]
        if known != self._known:
            self._offer(listed)
            self._known = known
        wanted = [str(name) for name in self.choice.value if name in listed]
        if wanted != list(self.controls):
            self._build(wanted, listed)
        for name, control in self.controls.items():
            control.show(listed[name], now_s, is_there=is_there)

    def _offer(self, listed: Mapping[str, Mapping[str, Any]]) -> None:
        """Offer the variables of a sketch; another sketch begins again."""
        names = list(listed)
        kept = [name for name in self.choice.value if name in listed]
        if len(names) <= MAX_SHOWN_FIRST:  # there is no list to choose from
            kept = names
        elif not kept:
            taken = [name for name in names if listed[name]["controlled"]]
            kept = taken[:MAX_SHOWN_FIRST]
        options: list[Any] = [(name, printable_name(name)) for name in names]
        self.choice.update(options=options, value=kept, visible=len(names) > MAX_SHOWN_FIRST)

    def _build(self, wanted: Sequence[str], listed: Mapping[str, Mapping[str, Any]]) -> None:
        controls = {}
        for name in wanted:
            known = self.controls.get(name)
            if known is None or known.value_type is not type_of(listed[name]["type"]):
                known = VariableControl(listed[name], self._on_set, self._on_release, self._sheets)
            controls[name] = known
        self.controls = controls
        self.area.children = [control.layout for control in controls.values()]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _words(name: str, value: float, *, is_controlled: bool) -> str:
    number = f"{value:.4g}" if math.isfinite(value) else "–"
    if value.is_integer() and abs(value) < _SHOWN_WHOLE:
        number = f"{value:.0f}"
    state = f' class="taken" title="{_TAKEN_WORDS}"' if is_controlled else ""
    shown = escape(printable_name(name))
    return f'<b{state}>{shown}</b> <span class="now">{number}</span>'
