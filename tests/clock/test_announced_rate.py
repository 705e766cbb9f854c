"""The rate that is announced: a simple ratio where the bounds single one out, else rounded."""

from __future__ import annotations

import pytest

from bela_module.clock.announced_rate import announced_rate, few_digits, simple_rate_hz


@pytest.mark.parametrize(
    ("range_hz", "found_hz"),
    [
        ((22000.0, 22100.0), 22050.0),
        ((2756.0, 2757.0), 2756.25),
        ((176399.0, 176500.0), 176400.0),
        ((44113.0, 44120.0), 44100.0),
        ((44000.0, 44050.0), None),
        ((22000.0, 44200.0), None),
        ((0.9, 1.1), None),
    ],
)
def test_a_simple_ratio_is_singled_out(
    range_hz: tuple[float, float], found_hz: float | None
) -> None:
    assert simple_rate_hz(44100.0, range_hz) == found_hz


def test_few_digits_are_as_few_as_the_tolerance_allows() -> None:
    assert few_digits(96003.1, 1e-4) == 96000.0
    assert few_digits(43271.7, 1e-4) == 43270.0
    assert few_digits(0.882131, 1e-9) == 0.882131


def test_a_simple_ratio_is_settled_sooner_than_another_rate() -> None:
    assert announced_rate(44100.0, 22049.0, (22010.0, 22090.0)) == (22050.0, True)
    assert announced_rate(44100.0, 22049.0, (21950.0, 22100.0)) == (22050.0, False)
    assert announced_rate(44100.0, 43002.0, (42960.0, 43040.0)) == (43000.0, False)
    assert announced_rate(44100.0, 43002.0, (42990.0, 43010.0)) == (43000.0, True)
