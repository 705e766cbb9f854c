"""Runs ``check`` against boards with a fault each, and against healthy ones.

Each fault must turn its line, and a healthy board must be fine on every line. Each board is a
simulated one in a process of its own, and ``check`` is run from the command line.

``python benchmarks/check_faults.py [--healthy 20] [--busy] [--write docs/check.md]`` prints a table
in Markdown. ``--busy`` lets two processes compute without end beside the healthy runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.marked_text import write_between_marks  # noqa: E402
from tests.support.lsl_settings import isolate_lsl  # noqa: E402
from tests.support.raw_client import raw_client  # noqa: E402


@dataclass(frozen=True, slots=True)
class Case:
    """A board or computer with a fault, and the one line that must tell of it."""

    title: str
    line: str
    """Empty when all must be fine."""
    verdict: str = "warn"
    board: tuple[str, ...] = ("--sketch", "potentiometers")
    seconds: float = 6.0
    computer: str = ""
    """What is wrong with this computer: ``folder``, ``port`` or ``no board``."""
    other: str = ""
    """Who else is there: a module that streams, ``ours`` by its port; one that ``asks``, ..."""


def _faulty(fault: str) -> tuple[str, ...]:
    return ("--sketch", "potentiometers", "--fault", fault)


CASES: Final = (
    Case("a name twice", "names", board=("--sketch", "duplicates")),
    Case("a variable never assigned", "assigned", board=("--sketch", "gain")),
    Case("no variables", "sketch", "fail", board=("--sketch", "empty")),
    Case("uneven values", "uneven", board=("--sketch", "gated")),
    Case(
        "44.1 kHz declared on a board of 48 kHz",
        "tick rate",
        board=("--sketch", "potentiometers", "--rate", "24000", "--declared-rate", "44100"),
    ),
    Case(
        "a clock that is 1000 ppm too fast",
        "clock",
        board=("--sketch", "potentiometers", "--drift-ppm", "1000"),
    ),
    Case("underruns of 3.6 ms", "ticks", board=_faulty("underrun:ms=3.6,every_s=2")),
    Case("ticks that stand still", "ticks", "fail", board=_faulty("pause:at_s=4,for_s=60")),
    Case("no tick at all", "ticks", "fail", board=_faulty("pause:at_s=0,for_s=60")),
    Case("every 20th block lost", "complete", "fail", board=_faulty("drop-pair:p=0.05")),
    Case("a header lost", "complete", board=_faulty("drop-header:n=1")),
    Case("a payload lost", "complete", board=_faulty("drop-payload:n=1")),
    Case("the connection breaks off", "complete", "fail", board=_faulty("disconnect:at_s=4")),
    Case("the board restarts", "complete", "fail", board=_faulty("restart:at_s=4")),
    Case("another project starts", "complete", "fail", board=_faulty("restart:at_s=4,sketch=gain")),
    Case("silence for 2 s", "complete", "fail", board=_faulty("silence:at_s=4,for_s=2")),
    Case("silence to the end", "complete", "fail", board=_faulty("silence:at_s=4,for_s=60")),
    Case("no data for 2 s", "complete", "fail", board=_faulty("no-data:at_s=4,for_s=2")),
    Case("no data at all", "streams", "fail", board=_faulty("no-data:at_s=0,for_s=60")),
    Case("no answer for 2 s", "network", board=_faulty("silence:at_s=4,for_s=2,socket=control")),
    Case("no answer from START on", "network", "fail", board=_faulty("silence:at_s=0,for_s=60")),
    Case("everything late by 1 s, once", "network", board=_faulty("stall:at_s=4,for_s=1")),
    Case("50 ms each way", "network", board=("--sketch", "potentiometers", "--delay-ms", "50")),
    Case(
        "a loaded board",
        "network",
        board=("--sketch", "potentiometers", "--network", "loaded"),
        seconds=20.0,
    ),
    Case("another client watches", "other clients", other="streams"),
    Case("another client asks", "other clients", other="asks"),
    Case(
        "another client monitors",
        "other clients",
        board=_faulty("other-client:at_s=4,cmd=monitor,period_ticks=1000"),
    ),
    Case("another client controls", "other clients", board=_faulty("other-client:cmd=control")),
    Case(
        "another client begins blocks again",
        "other clients",
        board=_faulty("other-client:at_s=4,cmd=watch"),
    ),
    Case(
        "another client ends what streams",
        "other clients",
        "fail",
        board=_faulty("other-client:at_s=4,cmd=unwatch"),
    ),
    Case("two boards of one name", "LSL identity", "fail", other="other board"),
    Case("an unwritable folder", "disk", "fail", computer="folder"),
    Case("a port that is taken", "PCOMM port", "fail", computer="port"),
    Case("no board", "board", "fail", computer="no board"),
    Case("none: beside the module of this computer", "", other="ours"),
    Case("none: over USB", "", board=("--sketch", "simulation", "--network", "usb")),
    Case("none: over Wi-Fi", "", board=("--sketch", "simulation", "--network", "wifi")),
    Case("none: values of all types", "", board=("--sketch", "alltypes")),
    Case("none: slow values", "", board=("--sketch", "slow-dense")),
)


@contextlib.contextmanager
def board(arguments: Sequence[str]) -> Iterator[int]:
    """Run a simulated board in a process of its own; give its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bela_module.simulator", "--port", "0", "--until-stdin-ends"]
        + list(arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r":(\d+)", line)
        if found is None:
            raise RuntimeError(f"the simulated board says {line!r}")
        yield int(found[1])


@contextlib.contextmanager
def module(port: int, environment: dict[str, str], pcomm_port: int = 0) -> Iterator[None]:
    """Stream from a board with a module in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "main.py", "--board", f"127.0.0.1:{port}", "--json"]
        + ["--port", str(pcomm_port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in process.stdout or ():
            if json.loads(line)["state"] == "streaming":
                break
        yield
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def asking(port: int) -> Iterator[None]:
    """Ask a board for its variables some times a second, as a browser may."""
    ended = threading.Event()
    with raw_client(f"ws://127.0.0.1:{port}") as client:

        def ask() -> None:
            while not ended.wait(0.3):
                client.list()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def check(port: int, config: Path, seconds: float, environment: dict[str, str]) -> dict[str, Any]:
    """Run ``check`` on the command line."""
    run = subprocess.run(
        [sys.executable, "main.py", "check", "--json", "--seconds", str(seconds)]
        + ["--board", f"127.0.0.1:{port}", "--config", str(config)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        result: dict[str, Any] = json.loads(run.stdout)
    except ValueError:
        raise RuntimeError(f"check failed: {run.stdout} {run.stderr}") from None
    return result


def turned(result: dict[str, Any]) -> dict[str, str]:
    """Give the lines that are not fine, and their verdicts."""
    return {c["name"]: c["verdict"] for c in result["checks"] if c["verdict"] != "ok"}


def run_case(case: Case) -> dict[str, Any]:
    """Check a board with a fault."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        environment = dict(os.environ)
        text = "[server]\nport = 0\n"
        if case.computer == "port":
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            text = f"[server]\nport = {taken.getsockname()[1]}\n"
        if case.computer == "folder":
            (folder / "file").write_text("")
            text += f"[recording]\ndir = '{folder / 'file' / 'recordings'}'\n"
        if case.other == "ours":
            with socket.create_server(("127.0.0.1", 0)) as free:
                pcomm_port = free.getsockname()[1]
            text = f"[server]\nport = {pcomm_port}\n"
        config = folder / "bela.toml"
        config.write_text(text, encoding="utf-8")
        port = stack.enter_context(board(case.board))
        if case.other == "ours":
            stack.enter_context(module(port, environment, pcomm_port))
        elif case.other == "streams":
            stack.enter_context(module(port, environment))
        elif case.other == "asks":
            stack.enter_context(asking(port))
        elif case.other:
            stack.enter_context(module(stack.enter_context(board(case.board)), environment))
        if case.computer == "no board":
            with socket.create_server(("127.0.0.1", 0)) as unused:
                port = unused.getsockname()[1]
        return check(port, config, case.seconds, environment)


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Compute without end beside what is done, in twice as many processes as processors."""
    n_loops = 2 * (os.cpu_count() or 1) * wanted
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_loops)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> int:
    """Run all cases, then healthy boards, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=int, default=20, help="runs of healthy boards (20)")
    parser.add_argument("--busy", action="store_true", help="on a computer that is kept busy")
    parser.add_argument("--only", default="", help="faults whose title has this text")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this file")
    options = parser.parse_args()
    isolate_lsl()  # ports of its own: other programs with LSL on this computer are not in the way
    lines = ["| fault | lines that turned | as it must be |", "|---|---|---|"]
    print("\n".join(lines), flush=True)
    wrong = 0
    for case in CASES:
        if options.only not in case.title:
            continue
        found = turned(run_case(case))
        right = found == ({case.line: case.verdict} if case.line else {})
        wrong += not right
        shown = ", ".join(f"{name}: {verdict}" for name, verdict in found.items()) or "none"
        lines.append(f"| {case.title} | {shown} | {'yes' if right else 'NO'} |")
        print(lines[-1], flush=True)
    healthy = Case("healthy", "", board=("--sketch", "simulation"), seconds=8.0)
    fine = 0
    with busy(options.busy):
        for _ in range(options.healthy):
            found = turned(run_case(healthy))
            fine += not found
            if found:
                print(f"healthy, but {found}", file=sys.stderr, flush=True)
    where = ", on a busy computer" if options.busy else ""
    lines.append(
        f"\nHealthy boards that are fine on every line{where}: {fine} of {options.healthy}."
    )
    print(lines[-1], flush=True)
    if options.write:
        write_between_marks(options.write, "\n".join(lines), "benchmarks/check_faults.py")
    return int(wrong > 0 or fine < options.healthy)


if __name__ == "__main__":
    sys.exit(main())
