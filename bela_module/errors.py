"""Exceptions of this package, one tree.

``BelaError``
    ├── ``ConfigError``: a configuration file or setting is wrong
    ├── ``RequestError``: a caller asked for something that cannot be
    │   ├── ``ArgumentError``: an argument of the Python interface is wrong
    │   ├── ``NotConnectedError``: a script has not called ``connect()``
    │   └── ``UnknownVariableError``: the board has no variable of that name
    ├── ``FrameError``: a message from the board is not what the protocol says
    ├── ``BoardError``: the board or the connection to it failed
    │   ├── ``ConnectError``: it could not be reached
    │   ├── ``NoReplyError``: it is connected but did not answer in time
    │   │   └── ``UnreadableReplyError``: it answered what cannot be read
    │   └── ``DisconnectedError``: the connection ended while it was needed
    ├── ``ModuleError``: a module that runs does not answer, or refuses a command
    ├── ``LibraryError``: a library that this package needs cannot be loaded
    ├── ``ExtraMissingError``: a library of an extra, as of recordings, is not installed
    ├── ``RecordingError``: an XDF file cannot be read, or has not what is asked for
    ├── ``CaptureError``: a recording of websocket traffic cannot be read
    └── ``StreamError``: samples, stamps or metadata that LSL must not be given
        └── ``IdentityTakenError``: another process publishes a stream of the same identity

``ArgumentError`` and ``UnknownVariableError`` are Python's ``ValueError``, too, and those of a
connection that cannot be made or is not there its ``ConnectionError``: so scripts catch them.

Each message says what happened, the value, and the next step. Only these errors leave the
public functions of this package, besides Python's own ``TypeError`` for a call with wrong
arguments; anything else is a bug of this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MAX_SHOWN_NAMES: Final = 20
_MAX_SHOWN_CHARS: Final = 100


class BelaError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(BelaError):
    """A configuration file or setting is wrong; the message names the file and the key."""


class RequestError(BelaError):
    """A request that cannot be carried out as it stands; nothing was changed."""


class ArgumentError(RequestError, ValueError):
    """An argument of a command or of the Python interface is wrong; nothing was changed."""


class NotConnectedError(RequestError, ConnectionError):
    """A script has not connected to its board, or has disconnected from it.

    Parameters
    ----------
    url : str
        Where the board is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)

    def __str__(self) -> str:
        """Name the address and the next step."""
        return f"not connected to {self.url}; call connect() first"


class UnknownVariableError(RequestError, ValueError):
    """The board has no variable of a requested name.

    Parameters
    ----------
    names : iterable of str
        The names that are not there.
    available : iterable of str
        The names that the board offers.
    """

    def __init__(self, names: Iterable[str], available: Iterable[str]) -> None:
        self.names = tuple(names)
        self.available = tuple(available)
        super().__init__(self.names, self.available)

    def __str__(self) -> str:
        """List the missing and the available names, shortened to a readable length."""
        missing, offered = _shortened(self.names), _shortened(self.available)
        return f"the board has no variable {missing}; it offers {offered or 'none'}"


def _shortened(names: tuple[str, ...]) -> str:
    text = ", ".join(repr(name[:_MAX_SHOWN_CHARS]) for name in names[:_MAX_SHOWN_NAMES])
    more = len(names) - _MAX_SHOWN_NAMES
    return f"{text} and {more} more" if more > 0 else text


class FrameError(BelaError):
    """A message from the board that the protocol does not allow."""


class BoardError(BelaError):
    """The board or the connection to it failed."""


class ConnectError(BoardError, ConnectionError):
    """The board could not be reached.

    Parameters
    ----------
    url : str
        Where a connection was tried.
    reason : str
        What the attempt ended with.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(url, reason)

    def __str__(self) -> str:
        """Name the address, the reason and what to check."""
        return (
            f"cannot connect to {self.url}: {self.reason}; "
            "is the board on, and a project that uses Watcher running on it?"
        )


class NoReplyError(BoardError):
    """The board is connected but did not answer in time.

    Parameters
    ----------
    request : str
        What was asked for.
    url : str
        Where it was asked.
    timeout_s : float
        How long was waited.
    last_seen : str, optional
        The last thing that was known, to find the cause.
    """

    def __init__(self, request: str, url: str, timeout_s: float, last_seen: str = "") -> None:
        self.request = request
        self.url = url
        self.timeout_s = timeout_s
        self.last_seen = last_seen
        super().__init__(request, url, timeout_s, last_seen)

    def __str__(self) -> str:
        """Name the request, the address, the time waited and what to check."""
        seen = f" (last seen: {self.last_seen})" if self.last_seen else ""
        return (
            f"no reply to {self.request!r} from {self.url} in {self.timeout_s:.1f} s{seen}; "
            "is a project that uses Watcher running on the board?"
        )


class UnreadableReplyError(NoReplyError):
    """The board answered, but what it answered cannot be read; `last_seen` says why."""

    def __str__(self) -> str:
        """Name the request, the address, the cause and what to check."""
        return (
            f"the reply to {self.request!r} from {self.url} cannot be read: {self.last_seen}; "
            "was the project built with another version of Watcher?"
        )


class DisconnectedError(BoardError):
    """The connection to the board ended while it was needed."""


class ModuleError(BelaError):
    """A module that runs already does not answer, or refuses a command; says which and why."""


class LibraryError(BelaError, ImportError):
    """A library that this package needs cannot be loaded.

    Parameters
    ----------
    cause : str
        What loading it ended with.
    """

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)

    def __str__(self) -> str:
        """Name the cause and what to install."""
        return (
            f"a library cannot be loaded: {self.cause}; install this package with pip again. On "
            "Windows LSL needs Microsoft's Visual C++ Redistributable and, on ARM, Python for x64"
        )


class ExtraMissingError(BelaError, ImportError):
    """A library that only some commands need is not installed.

    Parameters
    ----------
    what : str
        The library, and what it is for.
    extra : str
        The extra of this package that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.what = what
        self.extra = extra
        super().__init__(what, extra)

    def __str__(self) -> str:
        """Name the library and how to install it."""
        return f"{self.what}, is not installed: pip install 'dp-bela[{self.extra}]'"


class RecordingError(BelaError):
    """An XDF recording that cannot be read, or has not what is asked for; names the file."""


class CaptureError(BelaError):
    """A recording of websocket traffic cannot be read; the message names file and line."""


class StreamError(BelaError):
    """Samples, stamps or metadata that must not be given to LSL."""


class IdentityTakenError(StreamError):
    """Another process publishes a stream of the same identity.

    Parameters
    ----------
    identity : str
        The ``source_id``.
    host : str
        Name of the computer that it was found on.
    """

    def __init__(self, identity: str, host: str) -> None:
        super().__init__(
            f"the stream {identity!r} is on the network already, from the computer {host!r}; "
            "end that module, or give this board another name: board.name in the configuration"
        )
