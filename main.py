"""dp-bela on the command line: ``python main.py --simulate`` streams from a simulated board.

``python main.py --help`` lists the options; the console command ``dp-bela`` is the same.
The command line itself is in :mod:`bela_module.cli.command_line`.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # Before the imports, which take a while: Ctrl-C then ends them without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from bela_module.cli.command_line import main
from bela_module.server.output.standard_streams import run_program

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(run_program(main))
