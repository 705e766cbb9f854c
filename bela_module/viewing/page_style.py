"""Colours and style sheets of the live page, for light and dark surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PlotColours:
    """Colours of a plot.

    Attributes
    ----------
    background, ink, grid : str
        Of the plot, of its texts and axes, of its lines behind the signals.
    lines : tuple of str
        Of the signals.
    gap, event : str
        Of missing values and of markers.
    """

    background: str
    ink: str
    grid: str
    lines: tuple[str, ...]
    gap: str
    event: str


LIGHT: Final = PlotColours(
    background="#ffffff",
    ink="#333b45",
    grid="#dde1e6",
    lines=(
        "#1f6fb4",
        "#c2570c",
        "#23823b",
        "#b3274a",
        "#6d4fb3",
        "#0c7c7c",
        "#8a6508",
        "#5b6470",
    ),
    gap="#d64545",
    event="#7a5af5",
)
DARK: Final = PlotColours(
    background="#14181d",
    ink="#c9d1d9",
    grid="#2c333b",
    lines=(
        "#6cb2f2",
        "#f39c55",
        "#69c67f",
        "#f07c97",
        "#b39df2",
        "#55c5c5",
        "#d9b44a",
        "#aab4c0",
    ),
    gap="#f06a6a",
    event="#a996ff",
)

PAGE_CSS: Final = """
:root { color-scheme: light dark; }
html, body { margin: 0; height: 100%; background: #ffffff; color: #333b45;
  font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  html, body { background: #14181d; color: #c9d1d9; }
}
"""

TOOLBAR_CSS: Final = ".bk-divider { background-color: #8a949f; }"

HEADER_CSS: Final = """
:host { font-size: 14px; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: baseline; }
.state { padding: 1px 10px; border-radius: 9px; color: #ffffff; }
.state.good { background: #23823b; } .state.wait { background: #8a6508; }
.state.bad { background: #b3274a; }
ul.problems { margin: 4px 0 0 0; padding-left: 20px; color: #b3274a; }
ul.problems li.before { color: #8a6508; }
@media (prefers-color-scheme: dark) {
  ul.problems { color: #f07c97; } ul.problems li.before { color: #d9b44a; }
}
"""

WIDGET_CSS: Final = """
:host { font-size: 13px; }
.bk-input, .bk-btn { min-height: 32px; }
.noUi-connect { background-color: #6f9cc6 !important; }
.bk-btn:focus-visible, .bk-input:focus-visible, .noUi-handle:focus-visible {
  outline: 3px solid #6cb2f2; outline-offset: 1px; }
@media (prefers-color-scheme: dark) {
  label, .bk-slider-title, .bk-input-group { color: #c9d1d9; }
  .bk-input, .choices__inner, .choices__list--dropdown, .choices__list {
    background-color: #222830; color: #c9d1d9; border-color: #454d57; }
  .bk-btn { background-color: #2c333b; color: #c9d1d9; border-color: #454d57; }
  .bk-btn[disabled], .bk-input[disabled] { background-color: #1b2026; color: #737d88; }
  .bk-btn.bk-active, .bk-btn:hover { background-color: #454d57; }
  .noUi-target { background: #2c333b; border-color: #454d57; box-shadow: none; }
}
"""

CONTROL_CSS: Final = """
label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.bk-clearfix { max-width: 100%; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.now { margin-left: 4px; font-variant-numeric: tabular-nums; }
.taken { padding: 0 6px; border-radius: 8px; background: #1f6fb4; color: #ffffff; }
.bk-input-group { min-width: 0; }
.bk-input { padding: 0 5px; font-size: 12px; }
.bk-btn { padding: 0 6px; }
"""
"""Of the controls of variables: labels of fields are read out, but not shown."""

FOLLOW_THEME_JS: Final = """
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const tell = () => { client.data = {dark: [dark.matches ? 1 : 0]}; };
dark.addEventListener("change", tell);
tell();
"""
"""Tells the page whether surroundings are dark, at the beginning and whenever that changes."""

SHOW_JS: Final = """
// Bokeh's own arrays have no subarray() that works.
const x = new Float32Array(lines.data.x), y = new Float32Array(lines.data.y);
const xs = [], ys = [], stroke = [];
for (let begin = 0, i = 0; i < x.length; i++) {
  if (Number.isNaN(x[i])) {
    stroke.push(colours.tags[xs.length % colours.tags.length]);
    xs.push(x.subarray(begin, i));
    ys.push(y.subarray(begin, i));
    begin = i + 1;
  }
}
cut_lines.setv({data: {xs, ys, stroke}}, {sync: false});
sent.forEach((source, k) => {
  if (shown[k].data !== source.data) shown[k].setv({data: source.data}, {sync: false});
});
requestAnimationFrame(() => { drawn.data = {count: [drawn.data.count[0] + 1]}; });
"""
"""Shows what was sent, all in one drawing, with the columns cut into lines.

It confirms each drawing, so that a slow browser gets fewer of them.
"""
