"""The live page in a real browser: signals move, values are right, losses are shaded, buttons work.

They need Chromium and its driver: ``apt-get install chromium chromium-driver``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytest.importorskip("bokeh")
pytest.importorskip("selenium")

from bela_module.protocol.variables import ValueType
from bela_module.simulator.faults.fault_list import parse_fault
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.signals import ramp
from bela_module.viewing.signals.lanes import MARGIN
from tests.support.browser import (
    ShownPage,
    find_chromium,
    open_browser,
    tablet_in_the_dark,
    wait_for_page,
)
from tests.support.paths import ROOT
from tests.support.server_helpers import Client, Launched
from tests.support.session_helpers import board_of, variable

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(find_chromium() is None, reason="Chromium and its driver are not installed"),
]
TIMEOUT_S = 60.0
RATE_HZ = 2000.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser(width=1280, height=900) as driver:
        yield driver


@contextmanager
def viewed(*options: str) -> Iterator[str]:
    """Run ``view``; give the address of its page."""
    process = subprocess.Popen(
        [sys.executable, "main.py", "view", "--no-browser", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found is not None, line
        yield found[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def streaming() -> Iterator[tuple[SimulatedBoard, Launched, Client]]:
    """Run a board with ramps and a module that streams one of them.

    Boards that are there at the same time have names of their own, or START would be refused.
    """
    variables = (variable("ramp"), variable("gain", ValueType.FLOAT, ramp))
    with board_of(*variables, rate_hz=RATE_HZ) as board, TemporaryDirectory() as folder:
        config = Path(folder) / "bela.toml"
        config.write_text(f'[board]\nname = "board{board.port}"\n', encoding="utf-8")
        module = Launched(f"--board=127.0.0.1:{board.port}", f"--config={config}")
        client = Client(module.port)
        try:
            client.send('VERBOSE;START|{"variables": ["ramp"]};')
            assert (client.line(), client.line()) == ("OK VERBOSE", "OK START")
            yield board, module, client
        finally:
            client.close()
            module.end()
            module.close()


@pytest.fixture(scope="module")
def ramp_page() -> Iterator[tuple[SimulatedBoard, str]]:
    """Show a module that streams a ramp; give its board and the page's address."""
    with streaming() as (board, module, _), viewed("--module", f"127.0.0.1:{module.port}") as url:
        yield board, url


@pytest.fixture(scope="module")
def simulated_page() -> Iterator[str]:
    """Show a simulated board of seven streams with buttons; give the page's address."""
    with viewed("--simulate", "--control") as url:
        yield url


def wait(condition: Callable[[], Any], what: str | Callable[[], str]) -> Any:
    until_s = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        if time.monotonic() > until_s:
            words = what if isinstance(what, str) else what()
            pytest.fail(f"{words} did not come true in {TIMEOUT_S} s")
        time.sleep(0.1)
    return found


def last_point(page: ShownPage) -> tuple[float, float, float, float] | None:
    """Give time and value of the last point that is drawn, the value beside it, and the scale."""
    found: list[float] | None = page.script(
        """
        const shown = model("shown_lines").data, beside = model("shown_readouts").data;
        if (!shown.xs.length || !shown.xs[0].length || !beside.value.length) return null;
        const x = shown.xs[0], y = shown.ys[0];
        return [x[x.length - 1], y[y.length - 1], beside.value[0], beside.low[0], beside.high[0]];
        """
    )
    if found is None or any(one is None for one in found):
        return None
    x, height, value, low, high = found
    drawn = low + (height - MARGIN) / (1 - 2 * MARGIN) * (high - low)
    return x, drawn, value, high - low


def press(page: ShownPage, name: str) -> None:
    """Press a button as a mouse does; widgets are in a shadow DOM."""
    page.script(
        """
        const view = Bokeh.index.find_one(model(arguments[0]));
        view.shadow_el.querySelector("button").click();
        """,
        name,
    )


def element(page: ShownPage, name: str, selector: str) -> Any:
    """Find an element of a widget, to be used as with a hand."""
    return page.script(
        """
        const view = Bokeh.index.find_one(model(arguments[0]));
        return view.shadow_el.querySelector(arguments[1]);
        """,
        name,
        selector,
    )


def enter(page: ShownPage, name: str, text: str) -> None:
    """Type a text into a field, in the place of what it has."""
    from selenium.webdriver.common.keys import Keys

    keys = (Keys.CONTROL, "a", Keys.NULL, text, Keys.ENTER)
    element(page, name, "input").send_keys(*keys)


def test_a_ramp_moves_and_its_last_drawn_value_is_right(
    browser: Any, ramp_page: tuple[SimulatedBoard, str]
) -> None:
    _, url = ramp_page
    page = wait_for_page(browser, url)
    first = wait(lambda: last_point(page), "a drawn line")
    later = wait(
        lambda: (now := last_point(page)) and now[2] > first[2] + RATE_HZ and now, "movement"
    )
    for x, drawn, value, span in (first, later):
        assert -10 <= x <= 0
        assert drawn == pytest.approx(value, abs=1e-3 * span)
    # A value is its tick: drawn later by a time, it is larger by the ticks of that time.
    assert later[2] - first[2] >= RATE_HZ
    assert float(later[2]).is_integer()
    assert page.script("return model('START');") is None
    assert "streaming" in page.text("header")
    assert page.errors() == []


def test_lost_blocks_are_shaded_and_told(
    browser: Any, ramp_page: tuple[SimulatedBoard, str]
) -> None:
    board, url = ramp_page
    page = wait_for_page(browser, url)
    wait(lambda: last_point(page), "a drawn line")
    page.set_model("window", "value", 60)
    time.sleep(1.0)
    board.inject(parse_fault("drop-pair:n=2"))
    gaps = wait(lambda: (found := page.columns("shown_gaps"))["left"] and found, "a shaded gap")
    assert max(b - a for a, b in zip(gaps["left"], gaps["right"], strict=True)) > 0.25
    assert gaps["bottom"][0] == 0
    assert gaps["top"][0] == 1
    wait(
        lambda: any(t.startswith("gap ramp") for t in page.columns("shown_events")["text"]),
        "event",
    )
    wait(lambda: re.search(r"\d+ lost in \d+ gap", page.text("header")), "words on it")


def test_buttons_command_the_module(browser: Any) -> None:
    with (
        streaming() as (board, module, _),
        viewed("--control", "--module", f"127.0.0.1:{module.port}") as url,
    ):
        page = wait_for_page(browser, url)
        press(page, "STOP")
        wait(lambda: page.text("outcome") == "OK STOP", "the stop")
        wait(lambda: ">idle<" in page.text("header"), "idle")
        set_and_release(page, board)
        press(page, "START")
        wait(lambda: page.text("outcome") == "OK START", lambda: f"START: {page.text('outcome')}")
        wait(lambda: sorted(board.watched_names()) == ["gain", "ramp"], "the start")
        assert page.errors() == []


def set_and_release(page: ShownPage, board: SimulatedBoard) -> None:
    """Set a variable with its slider, with a key and with its field, and give it back."""
    from selenium.webdriver.common.keys import Keys

    def is_set(value: float) -> bool:
        return bool(board.controlled_values() == {"gain": pytest.approx(value, rel=1e-6)})

    wait(lambda: page.script("return model('slider gain') != null"), "the controls")
    enter(page, "low gain", "-5")
    enter(page, "high gain", "5")
    wait(lambda: page.script("return model('slider gain').end") == 5, "the range")
    page.set_model("slider gain", "value", 2.5)
    wait(lambda: is_set(2.5), "the slider's value on the board")
    element(page, "slider gain", ".noUi-handle").send_keys(Keys.ARROW_RIGHT)
    wait(lambda: is_set(2.6), "a step of the slider")
    wait(lambda: "2.6" in page.text("label gain"), "the value beside its name")
    assert element(page, "value gain", "input").get_property("value") == "2.6"
    enter(page, "value gain", "7.25")
    wait(lambda: is_set(7.25), "the field's value on the board")
    wait(lambda: page.script("return model('slider gain').value") == 7.25, "the slider")
    wait(lambda: not page.script("return model('RELEASE gain').disabled"), "the button")
    press(page, "RELEASE gain")
    wait(lambda: board.controlled_values() == {}, "the release")
    wait(lambda: page.text("outcome") == "OK RELEASE", "its outcome")
    wait(lambda: element(page, "value gain", "input").get_property("value") == "", "the field")
    for name in ("gain", "ramp"):
        page.set_model(f"value {name}", "value", 3)
    wait(lambda: board.controlled_values() == {"gain": 3, "ramp": 3}, "two values")
    press(page, "RELEASE")
    wait(lambda: board.controlled_values() == {}, "the release of all")
    # The words of its outcome are those of the one before: its end shows in the list that follows.
    wait(lambda: page.script("return model('RELEASE gain').disabled"), "the list after it")


def test_pause_and_zoom(browser: Any, simulated_page: str) -> None:
    page = wait_for_page(browser, simulated_page)
    wait(lambda: len(page.columns("shown_readouts")["name"]) == 7, "seven streams")
    page.set_model("pause", "active", True)
    time.sleep(1.5)  # drawings on their way
    before = page.columns("lines")["x"]
    time.sleep(1.0)
    assert page.columns("lines")["x"] == before
    page.script("const span = model('span'); span.start = -2; span.end = -1;")

    def is_zoomed() -> bool:
        shown = page.script("return Array.from(model('shown_lines').data.xs[0] ?? []);")
        return bool(shown) and min(shown) >= -2.01 and max(shown) <= -0.99

    wait(is_zoomed, "the zoom")


def test_it_looks_right_on_a_tablet_in_the_dark(browser: Any, simulated_page: str) -> None:
    with tablet_in_the_dark(browser):
        page = wait_for_page(browser, simulated_page)
        wait(lambda: len(page.columns("shown_readouts")["name"]) == 7, "seven streams")
        wait(lambda: page.script("return model('client').data.dark[0]") == 1, "dark colours")
        assert page.script("return getComputedStyle(document.body).backgroundColor") == (
            "rgb(20, 24, 29)"
        )
        assert page.script("return document.body.scrollWidth <= window.innerWidth")
        # All that is to be pressed is inside of the window, and can be reached with the keyboard.
        wait(lambda: page.script("return model('slider pot1') != null"), "the controls")
        control = ("low pot1", "slider pot1", "high pot1", "value pot1")
        for name in ("START", "pause", "window", "layout", "streams", *control):
            right = page.script(
                "return Bokeh.index.find_one(model(arguments[0])).el.getBoundingClientRect().right",
                name,
            )
            assert 0 < right <= 820
        reached = tabbed_names(browser, page)
        assert {"START", "STOP", "RELEASE", "pause", "layout", "scale", *control} <= reached


def tabbed_names(driver: Any, page: ShownPage) -> set[str]:
    """Press the tab key until it comes round; give the names of the widgets that were reached."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    names: set[str] = set()
    for _ in range(100):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        name = page.script(
            """
            let at = document.activeElement, hosts = [];
            while (at) { hosts.push(at); at = at.shadowRoot?.activeElement; }
            for (const key of arguments[0]) {
              const found = model(key);
              const view = found && Bokeh.index.find_one(found);
              if (view && hosts.includes(view.el)) return key;
            }
            return null;
            """,
            ["START", "STOP", "PREPARE", "CHECK", "RELEASE", "window", "pause", "layout", "scale"]
            + ["low", "high", "streams", "low pot1", "slider pot1", "high pot1", "value pot1"],
        )
        if name:
            names.add(name)
    return names
