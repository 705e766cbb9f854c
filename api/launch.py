"""``python -m api.server``: what the control room starts, and how it ends.

The socket is bound before anything heavy is imported: a control room tries three times to connect,
one second apart. It ends a module with SIGTERM and, a second later, SIGKILL; so does the board's
state get cleaned up at once, whatever else is going on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import types
from collections.abc import Sequence
from contextlib import ExitStack

from api.board_process import BoardProcess
from api.logs import start_logging
from api.server import BelaServer
from bela_module.config import Settings, load_settings, with_board_address, with_overrides
from bela_module.errors import BelaError
from bela_module.validation import shown

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", "none", ""})


def main(arguments: Sequence[str]) -> int:
    """Serve until ``CLOSE``, Ctrl-C or SIGTERM.

    Parameters
    ----------
    arguments : sequence of str
        ``--key=value`` as the control room passes them.

    Returns
    -------
    int
        Exit status: 0 after an orderly end, 1 when it could not serve.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        _serve(settings, simulate=options.simulate)
    except BelaError as error:
        sys.stderr.write(f"dp-bela: {error}\n")
        return 1
    return 0


def _serve(settings: Settings, *, simulate: bool) -> None:
    with ExitStack() as stack:
        logs = start_logging(settings.log.level)
        stack.callback(logs.close)

        def make_session():  # type: ignore[no-untyped-def]
            return _open_session(settings, stack, simulate=simulate)

        server = BelaServer(settings, make_session)
        stack.callback(server.shutdown)
        server.init_server()
        _stop_on_signals(server)
        sys.stdout.write(f"dp-bela listens on {server.ip}:{server.port}\n")
        sys.stdout.flush()
        server.start_listening()
