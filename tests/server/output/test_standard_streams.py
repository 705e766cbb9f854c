"""Standard output and error that nobody reads, that are full, closed, or of another encoding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import ROOT
from tests.support.server_helpers import Client

LOQUACIOUS_LSL = "[log]\nlevel = 9\n[multicast]\nResolveScope = machine\n[ports]\nIPv6 = disable\n"
POSIX = pytest.mark.skipif(os.name != "posix", reason="this device is only there on POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of one page")


def small_pipe() -> tuple[int, int]:
    """Make a pipe of one page."""
    import fcntl

    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    return reading, writing


@contextmanager
def program(*arguments: str, **streams: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, *arguments], cwd=ROOT, **streams
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def run_script(body: str) -> subprocess.CompletedProcess[str]:
    text = "from bela_module.server.output.standard_streams import run_program\n" + textwrap.dedent(
        body
    )
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@LINUX
def test_a_module_whose_standard_error_nobody_reads_goes_on(tmp_path: Path) -> None:
    lsl = tmp_path / "lsl_api.cfg"
    lsl.write_text(LOQUACIOUS_LSL)
    reading, writing = small_pipe()
    with SimulatedBoard() as board:
        port = free_port()
        with program(
            "-m", "api.server", f"--board=127.0.0.1:{board.port}", f"--port={port}",
            stdout=subprocess.DEVNULL, stderr=writing, env={**os.environ, "LSLAPICFG": str(lsl)},
        ) as process:  # fmt: skip
            os.close(writing)
            client = connected(port)
            try:
                client.send("VERBOSE;")
                assert client.line() == "OK VERBOSE"
                client.send("BAD;" * 300)  # fills the pipe, were it not full already
                for _ in range(300):
                    assert client.line().startswith("ERROR BAD: unknown PCOMM")
                client.send("START;STOP;")
                assert client.line() == "OK START"
                assert client.line() == "OK STOP"
            finally:
                client.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    os.close(reading)


def connected(port: int) -> Client:
    deadline_s = time.monotonic() + 30
    while True:
        try:
            return Client(port)
        except OSError:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


@POSIX
def test_a_module_starts_without_room_for_its_address() -> None:
    port = free_port()
    with (
        Path("/dev/full").open("wb") as full,
        program("-m", "api.server", "--board=127.0.0.1:9", f"--port={port}",
                stdout=full, stderr=subprocess.PIPE) as process,
    ):  # fmt: skip
        client = connected(port)
        assert client.is_up()
        client.close()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0
    assert b"cannot write to standard output: No space left on device" in errors


@LINUX
def test_a_stream_whose_output_nobody_reads_goes_on_and_ends() -> None:
    reading, writing = small_pipe()
    with program(
        "main.py", "--simulate", "--json", "--port", "0", "--duration", "5",
        stdout=writing, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(writing)
        _, errors = process.communicate(timeout=40)
        assert process.returncode == 1
    assert errors.endswith(b"dp-bela: cannot write to standard output: nobody reads it\n")
    os.close(reading)


@LINUX
def test_a_stream_whose_output_nobody_reads_obeys_a_signal() -> None:
    import fcntl
    import termios

    def n_unread() -> int:
        return int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), sys.byteorder)

    reading, writing = small_pipe()
    with program(
        "main.py", "--simulate", "--json", "--port", "0", stdout=writing, stderr=subprocess.DEVNULL
    ) as process:
        os.close(writing)
        before = 0
        while not before or n_unread() > before:  # a line a second, until the pipe is full
            before = n_unread()
            time.sleep(3.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 1
    os.close(reading)


def test_what_libraries_write_to_standard_error_is_logged() -> None:
    done = run_script("""
        import logging, os, sys, time
        from bela_module.server.log_forwarding import start_logging
        def main():
            os.write(2, b"before the log\\n")
            time.sleep(1.0)
            logs = start_logging("DEBUG")
            os.write(2, b"2026-01-01 10:00:00.000 (   0.1s) [  ABC]   a:1   WARN| no route\\n")
            os.write(2, b"something else\\n")
            time.sleep(1.0)
            logs.close(5)
            sys.stderr.write("last words\\n")
            return 3
        sys.exit(run_program(main))
    """)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0] == "before the log"
    assert " bela_module.library_output - WARNING - LSL: no route" in lines[1]
    assert lines[2].endswith(" bela_module.library_output - WARNING - something else")
    assert lines[3] == "last words"


def test_a_traceback_is_shown() -> None:
    done = run_script("""
        def main():
            raise ZeroDivisionError("a defect")
        run_program(main)
    """)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: a defect\n")


@POSIX
def test_a_closed_standard_error_is_not_taken_by_a_socket() -> None:
    done = run_script("""
        import os, socket
        def main():
            one, other = socket.socketpair()
            print(min(one.fileno(), other.fileno()) > 2)
            return 0
        os.close(2)
        run_program(main)
    """)
    assert done.stdout == "True\n"


def test_importing_the_package_leaves_the_streams_alone() -> None:
    done = run_script("""
        import sys
        before = sys.stdout, sys.stderr
        import api.server, main, bela_module
        print((sys.stdout, sys.stderr) == before)
    """)
    assert done.stdout == "True\n"
