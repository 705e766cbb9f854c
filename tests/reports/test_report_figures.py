"""Pictures: what is drawn, in SVG that takes the page's colours, and bounded in size."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
from matplotlib.figure import Figure

from bela_module.errors import ExtraMissingError
from bela_module.reports.recording_report import RecordingReport, report_on
from bela_module.reports.report_figures import as_svg, drawings, write_png
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import MadeRecording, healthy, pulses_of, regular, with_pulses


@pytest.fixture
def report(tmp_path: Path) -> RecordingReport:
    return pulses_of(with_pulses().write(tmp_path / "x.xdf"))


def svg(report: RecordingReport, number: int) -> str:
    return as_svg(drawings(report)[number], f"p{number}")


def test_each_picture_is_svg_with_the_inks_of_the_page(report: RecordingReport) -> None:
    titles = [title for title, _, _ in drawings(report)]
    assert titles == ["Streams over time", "Stated uncertainty", "Lag over time", "Lag, how often"]
    for number in range(len(titles)):
        text = svg(report, number)
        assert fromstring(text).tag.endswith("svg")
        assert "currentColor" in text
        assert "#010203" not in text
        assert "#000000" not in text
        assert "<script" not in text


def test_pictures_of_one_page_do_not_share_identities(report: RecordingReport) -> None:
    first = set(re.findall(r'<clipPath id="([^"]+)"', svg(report, 2)))
    second = set(re.findall(r'<clipPath id="([^"]+)"', svg(report, 3)))
    assert first
    assert not first & second


def test_streams_and_losses_are_drawn(tmp_path: Path) -> None:
    made = healthy()
    made.samples("bela_x", np.delete(regular(10_000), np.arange(3000, 3500)))
    text = as_svg(drawings(report_on(read_recording(made.write(tmp_path / "x.xdf"))))[0], "x")
    assert "bela_x" in text
    without = report_on(read_recording(healthy().write(tmp_path / "y.xdf")))
    assert text.count("#e2504a") > as_svg(drawings(without)[0], "x").count("#e2504a")


def test_many_gaps_make_no_endless_picture(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_x", np.delete(regular(60_000), np.arange(0, 60_000, 10)))
    report = report_on(read_recording(made.write(tmp_path / "x.xdf")))
    assert len(report.streams[0].breaks) == 5999
    assert len(as_svg(drawings(report)[0], "x")) < 300_000


def test_a_long_recording_keeps_the_largest_uncertainty(tmp_path: Path) -> None:
    made = healthy(1000)
    uncertainty_s = np.full(50_000, 0.0004)
    uncertainty_s[31_234] = 0.02
    made.clock(regular(50_000, 1.0), uncertainty_s)
    report = report_on(read_recording(made.write(tmp_path / "x.xdf")))
    text = svg(report, 1)
    assert len(text) < 400_000
    assert ">20.0<" in text


def test_the_names_of_the_colours_cover_nothing(report: RecordingReport) -> None:
    for _, height_in, draw in drawings(report):
        figure = Figure((8.0, height_in), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        figure.draw_without_rendering()
        if (legend := axes.get_legend()) is not None:
            box, picture = legend.get_window_extent(), axes.get_window_extent()
            assert box.y0 >= picture.y1
            assert box.y1 <= figure.bbox.y1


def test_a_png(report: RecordingReport, tmp_path: Path) -> None:
    write_png(report, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_streams_without_samples(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_x", regular(0))
    made.samples("bela_y", regular(1), rate_hz=0.0)
    report = report_on(read_recording(made.write(tmp_path / "x.xdf")))
    assert "bela_x" in svg(report, 0)


def test_without_matplotlib(report: RecordingReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'dp-bela\[view\]'"):
        svg(report, 0)


def test_a_recording_without_samples_has_no_picture(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_pot1", regular(0))
    assert drawings(report_on(read_recording(made.write(tmp_path / "x.xdf")))) == []


def test_names_are_no_formulas_and_leave_room(tmp_path: Path) -> None:
    made = MadeRecording()
    for name in ("a$b_{c$", "\N{CJK UNIFIED IDEOGRAPH-540D}", "n" * 5000):
        made.samples(name, regular(10))
    text = svg(report_on(read_recording(made.write(tmp_path / "x.xdf"))), 0)
    assert "a$b_{c$" in text
    assert "n" * 37 + "..." in text
