"""After a module was killed, which leaves its watches and its control on the board."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.paths import ROOT
from tests.support.server_helpers import Client, Launched
from tests.support.session_helpers import Running, WaitUntil, flow, session_at


@pytest.fixture
def port() -> Iterator[int]:
    """Run a simulated board in a process of its own; give its port."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "bela_module.simulator", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as board:
        assert board.stdout is not None
        found = re.search(r":(\d+)", board.stdout.readline())
        assert found is not None
        yield int(found[1])
        board.kill()


def stream_and_be_killed(port: int, wait_until: WaitUntil) -> None:
    """Stream all variables, control one, and be killed while that is so."""
    module = Launched(f"--board=127.0.0.1:{port}")
    client = Client(module.port)
    try:
        client.send('VERBOSE;START;SET|{"values": {"sine": 0.5}};')
        assert [client.line() for _ in range(3)] == ["OK VERBOSE", "OK START", "OK SET"]

        def singles() -> bool:
            client.send("STATUS;")
            streams = {one["name"]: one for one in client.reply()["streams"]}
            return bool(streams["bela_temperature"]["samples"])

        wait_until(singles, "a single value")
        module.process.kill()
        module.process.wait(20)
    finally:
        client.close()
        module.close()


def others(one: Running) -> dict[str, list[str]]:
    found: dict[str, list[str]] = one.session.status()["others"]
    return found


def test_the_next_module_tells_it_and_frees_what_it_streams(
    port: int, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    stream_and_be_killed(port, wait_until)
    caplog.set_level(logging.WARNING)
    with session_at(port) as one:
        wait_until(lambda: others(one)["controlled"], "what is left on the board")
        assert others(one)["controlled"] == ["sine"]
        assert others(one)["monitored"] == ["touch", "temperature"]
        assert {"pot1", "temperature"} <= set(others(one)["watched"])
        words = "controlled already, and left as it is: sine; RELEASE, or in Python"
        wait_until(lambda: words in caplog.text, "the warning")  # STATUS may be a moment ahead
        one.start()
        flow(one, wait_until, 30)
        wait_until(lambda: one.samples("bela_temperature") > 3, "single values")
        assert one.streams["bela_temperature"]["delivery"] == "single"
        status = one.session.status()
        assert status["problems"] == []
        assert status["notices"] == []
        assert others(one) == {"watched": [], "monitored": [], "controlled": ["sine"]}
        assert one.release() == "released sine"
        wait_until(lambda: not others(one)["controlled"], "nothing controlled")
        one.stop()
        for stream in one.streams.values():
            assert stream["lost"] == 0
        assert np.all(np.diff(one.sink["bela_pot1"].ticks) == 1)
        left = [
            variable["name"]
            for variable in one.list()["variables"]
            if variable["watched"] or variable["controlled"] or variable["monitor_period_ticks"]
        ]
        assert left == []
