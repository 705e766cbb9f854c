"""The simulated board's process: its address is found, its end is ours, its silence is an error."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import psutil
import pytest

from bela_module.errors import ConnectError
from bela_module.server.simulator_process import SimulatorProcess, own_group
from tests.support.paths import ROOT
from tests.support.session_helpers import WaitUntil

SLEEPER = "import time, sys\nprint('a board at ws://127.0.0.1:4711', flush=True)\ntime.sleep(60)"


def test_the_simulated_board_answers_and_ends() -> None:
    board = SimulatorProcess()
    try:
        host, port = board.start(timeout_s=30)
        with socket.create_connection((host, port), timeout=20):
            pass
    finally:
        board.end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=20).close()
    board.end()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot freeze a process so")
def test_a_board_that_hangs_does_not_answer(wait_until: WaitUntil) -> None:
    board = SimulatorProcess()
    assert board.answers()  # there is none that could hang
    try:
        board.start(timeout_s=30)
        assert board.answers(timeout_s=20)
        assert board.answers(timeout_s=20)
        (process,) = psutil.Process().children()
        process.suspend()
        # A line that it had written before may be taken for an answer.
        wait_until(lambda: not board.answers(timeout_s=0.2), "no answer")
        process.resume()
        assert board.answers(timeout_s=20)
    finally:
        board.end()
    assert board.answers()


def test_the_address_is_read_from_the_output() -> None:
    board = SimulatorProcess((sys.executable, "-c", SLEEPER))
    assert board.start(timeout_s=30) == ("127.0.0.1", 4711)
    board.end()


def test_a_process_that_ends_is_an_error() -> None:
    board = SimulatorProcess((sys.executable, "-c", "print('no address here')"))
    with pytest.raises(ConnectError, match="it printed no address"):
        board.start(timeout_s=30)


def test_a_process_that_says_nothing_is_an_error() -> None:
    board = SimulatorProcess((sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(ConnectError, match="it printed no address"):
        board.start(timeout_s=0.2)


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    board = SimulatorProcess((sys.executable, "-c", stubborn))
    board.start(timeout_s=30)
    board.end()


def test_it_ends_with_a_process_that_is_killed() -> None:
    starter = (
        "from bela_module.server.simulator_process import SimulatorProcess\n"
        "import os, signal\n"
        "print(SimulatorProcess().start(30)[1], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", starter],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    port = int(killed.stdout)
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("the simulated board outlived the process that started it")


def test_ctrl_c_does_not_reach_it() -> None:
    assert own_group("linux") == {"start_new_session": True}
    assert own_group("win32") == {"creationflags": 0x200}  # CREATE_NEW_PROCESS_GROUP
    script = "import os\nprint(f'a board of group {os.getpgid(0)} at 127.0.0.1:4711', flush=True)"
    if sys.platform == "win32":
        pytest.skip("the rest is about process groups of POSIX")
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, **own_group(sys.platform)
    ) as process:
        assert process.communicate(timeout=30)[0].split()[4] == str(process.pid)
