"""``python -m api.server``: the Dareplane module, as the control room starts it.

It runs :class:`~bela_module.server.bela_server.BelaServer`, a ``DefaultServer`` of
dareplane-utils, which takes the PCOMMs of the table in :mod:`bela_module.server.pcomms`
(START, STOP, SCHEDULE, ...) over TCP. :mod:`bela_module.server.launch` reads the arguments,
binds the socket first and then starts the session.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # Before the imports, which take a while: Ctrl-C then ends them without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from bela_module.server.bela_server import BelaServer
from bela_module.server.launch import main
from bela_module.server.output.standard_streams import run_program

__all__ = ["BelaServer", "main"]

if __name__ == "__main__":
    sys.exit(run_program(lambda: main(sys.argv[1:])))
