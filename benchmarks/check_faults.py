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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.marked_text import write_between_marks  # noqa: E402
from tests.support.lsl_settings import isolate_lsl  # noqa: E402


@dataclass(frozen=True, slots=True)
class Case:
    """A board or computer with a fault, and the line that must tell of it."""

    title: str
    line: str
    verdict: str = "warn"
    board: tuple[str, ...] = ("--sketch", "potentiometers")
    seconds: float = 6.0
    also: frozenset[str] = frozenset()
    """Lines that the fault may turn, too."""
    computer: str = ""
    """What is wrong with this computer: ``folder``, ``port`` or ``no board``."""
    other: tuple[str, ...] = ()
    """Arguments of a module that streams beside the check."""


CASES: Final = (
    Case("a name twice", "names", board=("--sketch", "duplicates")),
    Case("a variable never assigned", "assigned", board=("--sketch", "gain")),
    Case(
        "no variables", "sketch", "fail", board=("--sketch", "empty"), also=frozenset({"streams"})
    ),
    Case(
        "every 20th block lost",
        "complete",
        "fail",
        board=("--sketch", "potentiometers", "--fault", "drop-pair:p=0.05"),
    ),
    Case(
        "a header lost",
        "complete",
        board=("--sketch", "potentiometers", "--fault", "drop-header:n=1"),
    ),
    Case(
        "the connection breaks off",
        "complete",
        "fail",
        board=("--sketch", "potentiometers", "--fault", "disconnect:at_s=3"),
        also=frozenset({"network"}),
    ),
    Case(
        "the board restarts",
        "complete",
        "fail",
        board=("--sketch", "potentiometers", "--fault", "restart:at_s=3"),
        also=frozenset({"network", "ticks", "clock"}),
    ),
    Case(
        "underruns of 3.6 ms",
        "ticks",
        board=("--sketch", "potentiometers", "--fault", "underrun:ms=3.6,every_s=2"),
        also=frozenset({"clock"}),
    ),
    Case(
        "50 ms each way",
        "network",
        board=("--sketch", "potentiometers", "--delay-ms", "50"),
        also=frozenset({"clock"}),
    ),
    Case(
        "a loaded board",
        "network",
        board=("--sketch", "potentiometers", "--network", "loaded"),
        seconds=20.0,
        also=frozenset({"clock", "lateness", "LSL received"}),
    ),
    Case("another client watches", "other clients", other=("stream",)),
    Case("two boards of one name", "LSL identity", "fail", other=("other board",)),
    Case("an unwritable folder", "disk", "fail", computer="folder"),
    Case("a port that is taken", "PCOMM port", "fail", computer="port"),
    Case("no board", "board", "fail", computer="no board"),
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
def module(port: int, environment: dict[str, str]) -> Iterator[None]:
    """Stream from a board with a module in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "main.py", "--board", f"127.0.0.1:{port}", "--port", "0", "--json"],
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
        config = folder / "bela.toml"
        config.write_text(text, encoding="utf-8")
        port = stack.enter_context(board(case.board))
        if "stream" in case.other:
            stack.enter_context(module(port, environment))
        elif case.other:
            stack.enter_context(module(stack.enter_context(board(case.board)), environment))
        if case.computer == "no board":
            with socket.create_server(("127.0.0.1", 0)) as unused:
                port = unused.getsockname()[1]
        return check(port, config, case.seconds, environment)


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Compute without end beside what is done, in two processes."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * wanted)
    ]
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
        right = found.get(case.line) == case.verdict and set(found) <= {case.line, *case.also}
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
