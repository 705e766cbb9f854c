"""Colours can be told from their background."""

from __future__ import annotations

import pytest

from bela_module.viewing.page_style import DARK, LIGHT, PlotColours
from bela_module.viewing.signals.page_drawing import N_COLOURS

LOWEST_CONTRAST = 3.0  # of graphics, by WCAG 2.1, 1.4.11; texts 4.5, 1.4.3


def luminance(colour: str) -> float:
    """Compute the relative luminance of WCAG 2.1."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_all_can_be_seen(colours: PlotColours) -> None:
    assert len(colours.lines) == N_COLOURS
    for colour in (*colours.lines, colours.gap, colours.event):
        assert contrast(colour, colours.background) >= LOWEST_CONTRAST, colour
    assert contrast(colours.ink, colours.background) >= 4.5
