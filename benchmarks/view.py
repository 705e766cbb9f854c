"""The live page: how often it is drawn in a browser, and what it costs in which process.

``python benchmarks/view.py [--seconds 20] [--only 130]`` runs a simulated board, a module, the
command ``view`` and a headless Chromium in processes of their own, on this computer, and counts
what the browser has drawn. It needs ``pip install '.[test]'``, Chromium and its driver.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.support.browser import ShownPage, open_browser, wait_for_page  # noqa: E402
from tests.support.server_helpers import Client  # noqa: E402

LSL_SETTINGS: Final = """[log]
level = -2
[lab]
SessionID = {session}
KnownPeers = {{127.0.0.1}}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
BasePort = 25000
PortRange = 300
"""
WARM_UP_S: Final = 8.0
PICTURE_S: Final = 14.0
PICTURE_PX: Final = (1280, 960)
SET_BEFORE_S: Final = 3.0
LAUNCH_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ViewCase:
    """What streams, and how it is looked at."""

    name: str
    sketch: str
    rate_hz: int | None
    n_variables: int | None
    group: str
    window_s: int


CASES: Final = (
    ViewCase("the simulated board, 7 streams", "simulation", None, None, "auto", 10),
    ViewCase("130 channels at 1 kHz, one stream", "many", 1000, None, "auto", 10),
    ViewCase("130 channels at 1 kHz, one stream", "many", 1000, None, "auto", 60),
    ViewCase("130 channels at 1 kHz, 130 streams", "many", 1000, None, "none", 10),
    ViewCase("10 channels at 44.1 kHz, 10 streams", "many", 44_100, 10, "none", 10),
    ViewCase("10 channels at 44.1 kHz, 10 streams", "many", 44_100, 10, "none", 60),
    ViewCase("10 channels at 44.1 kHz, one stream", "many", 44_100, 10, "all", 10),
)


@contextlib.contextmanager
def launched(pattern: str, *arguments: str, env: dict[str, str]) -> Iterator[tuple[Any, int]]:
    """Run a program until it prints its port; give its process and the port."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**env, "PYTHONUNBUFFERED": "1"},
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(pattern, line)
        if found is None:
            raise RuntimeError(f"{arguments[:3]} says {line!r}")
        yield psutil.Process(process.pid), int(found[1])
    finally:
        process.terminate()
        process.wait(LAUNCH_S)
        if process.stdout:
            process.stdout.close()


def cpu_s(process: psutil.Process) -> float:
    """Processor time of a process and all that it has started."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def measure(case: ViewCase, seconds: float, env: dict[str, str]) -> str:
    """Run a case; return its row."""
    with watched(case, env) as (page, view, module):
        page.set_model("window", "value", case.window_s)
        time.sleep(WARM_UP_S)
        driver = psutil.Process(page.driver.service.process.pid)
        processes = (view, driver, module)
        before, drawn, began_s = [cpu_s(p) for p in processes], page.n_drawn(), time.monotonic()
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        per_s = (page.n_drawn() - drawn) / took_s
        shares = [(cpu_s(p) - b) / took_s for p, b in zip(processes, before, strict=True)]
        load = os.getloadavg()[0]
    return (
        f"| {case.name} | {case.window_s} | {per_s:.1f} | "
        + " | ".join(f"{100 * share:.0f}" for share in shares)
        + f" | {load:.1f} |"
    )


def take_picture(path: str, env: dict[str, str]) -> None:
    """Save a picture of the page, with losses in one of the signals and a variable that is set."""
    faults = ("--fault", "drop-pair:p=0.012,variable=sine")
    with watched(CASES[0], env, faults, ("--control",)) as (page, _, _):
        page.driver.set_window_size(*PICTURE_PX)
        time.sleep(PICTURE_S - SET_BEFORE_S)
        page.set_model("slider pot2", "value", 0.5)
        time.sleep(SET_BEFORE_S)
        page.driver.save_screenshot(path)


@contextlib.contextmanager
def watched(
    case: ViewCase,
    env: dict[str, str],
    faults: tuple[str, ...] = (),
    view_options: tuple[str, ...] = (),
) -> Iterator[tuple[ShownPage, psutil.Process, psutil.Process]]:
    """Run board, module, ``view`` and browser; give page, ``view`` and module."""
    board_options = ["-m", "bela_module.simulator", "--port", "0", "--sketch", case.sketch, *faults]
    if case.rate_hz:
        board_options += ["--rate", str(case.rate_hz)]
    with contextlib.ExitStack() as stack:
        _, board_port = stack.enter_context(launched(r":(\d+)", *board_options, env=env))
        module, port = stack.enter_context(
            launched(
                r":(\d+)\n",
                *("-m", "api.server", "--ip=127.0.0.1", "--port=0"),
                f"--board=127.0.0.1:{board_port}",
                env=env,
            )
        )
        client = Client(port)
        stack.callback(client.close)
        start(client, case)
        view, page_port = stack.enter_context(
            launched(
                r":(\d+)/",
                *("main.py", "view", "--no-browser", "--port", "0"),
                *("--module", f"127.0.0.1:{port}", *view_options),
                env=env,
            )
        )
        browser = stack.enter_context(open_browser())
        page = wait_for_page(browser, f"http://127.0.0.1:{page_port}/")
        yield page, view, module


def start(client: Client, case: ViewCase) -> None:
    """Have the module stream."""
    client.send("VERBOSE;")
    client.line()
    client.send("LIST;")
    names = [variable["name"] for variable in client.reply()["variables"]]
    chosen = ", ".join(f'"{name}"' for name in names[: case.n_variables])
    client.send(f'START|{{"variables": [{chosen}], "group": "{case.group}"}};')
    answer = client.line()
    if answer != "OK START":
        raise RuntimeError(answer)


def main() -> None:
    """Measure the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--picture", metavar="FILE.png", help="save a picture of the page instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "lsl_api.cfg")
        settings.write_text(LSL_SETTINGS.format(session=f"view-{uuid.uuid4().hex[:8]}"))
        env = {**os.environ, "LSLAPICFG": str(settings)}
        if options.picture:
            take_picture(options.picture, env)
            return
        print("| signals | seconds shown | drawn per s | view % | browser % | module % | load |")
        print("|---|---|---|---|---|---|---|")
        for case in CASES:
            if options.only in case.name:
                print(measure(case, options.seconds, env), flush=True)


if __name__ == "__main__":
    main()
