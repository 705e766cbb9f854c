"""The page: complete in itself, names escaped, and never over the recording."""

from __future__ import annotations

import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bela_module.errors import RecordingError
from bela_module.reports.html_report import html_page, write_html
from bela_module.reports.recording_report import report_on
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import healthy, pulses_of, regular, with_pulses


class Page(HTMLParser):
    """Notes the elements that are open, and whether each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    text = html_page(pulses_of(with_pulses().write(tmp_path / "x.xdf")))
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.seen.count("svg") == 4
    assert not {"script", "link", "img", "iframe"} & set(page.seen)
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    assert "@import" not in text
    assert "url(http" not in text
    for words in ("Streams over time", "Pulses of bela_sync/sync against EEG/TRIG", "0.400 ms"):
        assert words in text


def test_names_are_escaped(tmp_path: Path) -> None:
    made = healthy(1000)
    made.samples("bela_<b>&", regular(1000), labels=("<i>",))
    made.events([(5000.0, "error <script>alert(1)</script>")])
    text = html_page(report_on(read_recording(made.write(tmp_path / "x&y.xdf"))))
    assert "<b>" not in text
    assert "<script>" not in text
    assert "bela_&lt;b&gt;&amp;" in text
    assert "x&amp;y.xdf" in text
    Page().feed(text)


def test_it_is_written_and_replaced(tmp_path: Path) -> None:
    report = report_on(read_recording(healthy(1000).write(tmp_path / "x.xdf")))
    for _ in range(2):
        write_html(report, tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_recording_is_never_replaced(tmp_path: Path) -> None:
    path = healthy(1000).write(tmp_path / "x.xdf")
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="is the recording itself"):
        write_html(report_on(read_recording(path)), tmp_path / "." / "x.xdf")
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="names are texts there")
def test_names_that_are_no_text_or_too_long(tmp_path: Path) -> None:
    path = healthy(1000).write(tmp_path / os.fsdecode(b"bad\xff.xdf"))
    report = report_on(read_recording(path))
    write_html(report, tmp_path / "x.html")
    assert "bad\\udcff.xdf" in (tmp_path / "x.html").read_text("utf-8")
    with pytest.raises(RecordingError, match="cannot be written: File name too long"):
        write_html(report, tmp_path / ("n" * 300))
    with pytest.raises(RecordingError, match="cannot be read: File name too long"):
        read_recording(tmp_path / ("n" * 300))


def test_a_place_that_does_not_exist(tmp_path: Path) -> None:
    report = report_on(read_recording(healthy(1000).write(tmp_path / "x.xdf")))
    with pytest.raises(RecordingError, match="cannot be written: No such file"):
        write_html(report, tmp_path / "nowhere" / "x.html")
