"""Processes of a benchmark: a board, a reader of it, inlets; each measured on its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
WARM_UP_S: Final = 6
"""Until then a module may hold its first samples for a listener; others are warm after two."""
READER_WARM_UP_S: Final = 2
_LSL: Final = """[log]
level = -2
[lab]
SessionID = {session}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
PortRange = 500
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be read."""

    title: str
    rate_hz: int
    columns: int
    streams: int = 0
    """Streams that the columns share; 0: one each."""
    slow: int = 0
    """Columns at half the rate."""
    prebuilt: bool = False
    """Whether prebuilt blocks are sent, at rates that a simulated board would limit."""

    @property
    def values_per_s(self) -> int:
        """Values a second of all variables."""
        return self.rate_hz * self.columns - self.rate_hz // 2 * self.slow

    @property
    def shape(self) -> tuple[int, int]:
        """Streams, and columns of each."""
        streams = self.streams or self.columns
        return streams, self.columns // streams

    @property
    def names(self) -> list[str]:
        """Names of the streams of single variables."""
        return [f"bela_v{k}" for k in range(self.columns)]


class Outcome(dict[str, Any]):
    """What a process prints as its last line, once it has ended."""


@contextlib.contextmanager
def lsl_settings() -> Iterator[Mapping[str, str]]:
    """Give an environment in which LSL sees nothing but the processes that have it, too."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lsl_api.cfg"
        path.write_text(_LSL.format(session=uuid.uuid4().hex), encoding="utf-8")
        yield {**os.environ, "LSLAPICFG": str(path)}


@contextlib.contextmanager
def board(
    load: Load, environment: Mapping[str, str] | None = None, *options: str
) -> Iterator[tuple[int, Outcome]]:
    """Run a board; give its port, and what it says at its end if it sends prebuilt blocks."""
    command = ["-m", "bela_module.simulator", "--port", "0", "--sketch", "many"]
    command += ["--rate", str(load.rate_hz), "--until-stdin-ends"]
    if load.prebuilt:
        command = ["benchmarks/block_sender.py", "--columns", str(load.columns)]
        command += ["--slow", str(load.slow), "--rate", str(load.rate_hz), *options]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise RuntimeError(f"the board says {line!r}")
        outcome = Outcome()
        yield int(found[1]), outcome
        rest, _ = process.communicate()
        if load.prebuilt:
            outcome.update(json.loads(rest))


def start_reader(
    load: Load, kind: str, port: int, seconds: float, environment: Mapping[str, str], *options: str
) -> subprocess.Popen[str]:
    """Start a reader of ``readers.py``; it ends by itself."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks" / "readers.py"), kind, "--port", str(port)]
        + ["--columns", str(load.columns), "--streams", str(load.shape[0])]
        + ["--seconds", str(seconds), *(["--blocks-only"] if load.prebuilt else []), *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_of(reader: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Wait for a reader; give what it printed each second."""
    printed, errors = reader.communicate()
    if reader.returncode:
        raise RuntimeError(f"a reader failed: {errors[-2000:]}")
    return [json.loads(line) for line in printed.splitlines()]


@contextlib.contextmanager
def inlets(
    names: Sequence[str], seconds: float, environment: Mapping[str, str]
) -> Iterator[Outcome]:
    """Fetch from streams for a while, at the end of which this returns."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks" / "inlets.py"), "--names", ",".join(names)]
        + ["--seconds", str(seconds)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    outcome = Outcome()
    with process:
        yield outcome
        printed, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the inlets failed: {errors[-2000:]}")
        outcome.update(json.loads(printed.splitlines()[-1]))
