"""Ctrl-C in a script: it ends soon, also when the signal does not wake the main thread."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signal can be sent to a thread there")

# A signal that comes just before the main thread begins to wait does not wake it either.
BEGIN = """
    import signal, sys, threading
    from bela_module import Streamer

    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background
    streamer = Streamer("127.0.0.1", int(sys.argv[1]))
    streamer.connect()

    def interrupt():
        print("waiting", flush=True)
        sys.stdin.readline()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
"""

WAITS = {
    "wait": """
        streamer.start_streaming("ramp_d")
        streamer.wait(40)
    """,
    "values": """
        streamer.stream_n_values("ramp_d", n_values=10**9)
    """,
    "schedule": """
        begin = streamer.get_latest_timestamp() + 10**7
        streamer.schedule_streaming("ramp_d", [begin], [10], timeout_s=40)
    """,
    "reply": """
        streamer._open_session().look = Future
        streamer.list()
    """,
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_script_ends_soon(wait: str) -> None:
    script = "from concurrent.futures import Future\n" + textwrap.dedent(BEGIN)
    with (
        SimulatedBoard("ramps") as board,
        subprocess.Popen(
            [sys.executable, "-c", script + textwrap.dedent(WAITS[wait]), str(board.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "waiting\n"
            time.sleep(1.0)  # so that it waits, or is about to
            begun_s = time.monotonic()
            _, complaints = process.communicate("now\n", timeout=50)
            took_s = time.monotonic() - begun_s
        finally:
            process.kill()
        assert complaints.rstrip().endswith("KeyboardInterrupt")
        assert took_s < 15.0  # a second or so, but for a machine that stalls; 30 s and more before
        assert board.watched_names() == []
