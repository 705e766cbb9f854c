"""``Logger``: the class of pybela that writes files on the board, which this module does not."""

from __future__ import annotations

from typing import Any, NoReturn

from bela_module.errors import RequestError


class Logger:
    """Takes the place of pybela's class of this name, and says what to use instead."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        """Refuse to be made.

        Raises
        ------
        RequestError
            Always.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RequestError(
            "Logger writes files on the board and fetches them over ssh, which this module does "
            "not; Streamer(...).start_streaming(saving_enabled=True) writes them on this computer"
        )
