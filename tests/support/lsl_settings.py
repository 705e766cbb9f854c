"""LSL settings of the tests: on this machine, and apart from every other process that tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pylsl

FIRST_PORT, LAST_PORT = 17_000, 32_000  # below those that systems give to clients
N_PORTS = 200  # for each process: a query goes to each of them, and more outlets are not found


def isolate_lsl() -> str:
    """Set what LSL may find, for this process and for those that it starts; before LSL is used.

    Each pytest-xdist worker has a ``SessionID`` and a range of ports of its own, so that tests that
    run side by side never see one another's streams. Neighbouring process numbers, as workers
    have, give different ranges.

    Returns
    -------
    str
        The ``SessionID``.
    """
    n_ranges = (LAST_PORT - FIRST_PORT) // N_PORTS
    first_port = FIRST_PORT + N_PORTS * (os.getpid() % n_ranges)
    session_id = f"tests-{uuid.uuid4().hex[:12]}"
    content = (
        "[log]\nlevel = -2\n"
        f"[lab]\nSessionID = {session_id}\nKnownPeers = {{127.0.0.1}}\n"
        "[multicast]\nResolveScope = machine\n"
        f"[ports]\nIPv6 = disable\nBasePort = {first_port}\nPortRange = {N_PORTS}\n"
        "[tuning]\nMulticastMinRTT = 0.1\nUnicastMinRTT = 0.2\n"
    )
    folder = Path(tempfile.mkdtemp(prefix="dp-bela-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "lsl_api.cfg"
    path.write_text(content, encoding="utf-8")
    os.environ["LSLAPICFG"] = str(path)
    pylsl.set_config_content(content)
    # LSL reads them with the first description of a stream; what a test of --simulate sets later
    # has no effect then.
    pylsl.StreamInfo("settings", source_id="settings")
    return session_id
