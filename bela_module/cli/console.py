"""``dp-bela``: the installed console command, which Ctrl-C ends without a traceback at any time."""

from __future__ import annotations

import signal


def console_main() -> int:
    """Run the command line; return the exit status."""
    # Before the imports, which take a while: Ctrl-C then ends them without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from bela_module.cli.command_line import main
    from bela_module.server.output.standard_streams import run_program

    return run_program(main)
