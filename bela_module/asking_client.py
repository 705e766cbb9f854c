"""The client on whose behalf a method of the session is called: commands are queued by client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_NAME: Final[ContextVar[str]] = ContextVar("asking_client", default="")


def asking_client() -> str:
    """Return the name of the client whose command is being carried out; empty: this program."""
    return _NAME.get()


@contextmanager
def asked_by(name: str) -> Iterator[None]:
    """Call methods of a session on behalf of a client.

    The event loop of the session knows the name, too: a callback that is handed to a loop takes
    along the context variables of who handed it over.
    """
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)
