"""One LSL outlet: creation, and pushing whole arrays with a stamp for each sample.

Every sample is pushed with its own stamp, since the nominal rate of a stream is never exactly
the board's: stamps that LSL deduces from it would jump by microseconds at each block.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pylsl
from pylsl.util import handle_error

from bela_module.errors import StreamError
from bela_module.protocol.variables import Array
from bela_module.streams.sink import Stamps


class LslOutlet:
    """An outlet that others can find from its creation until :meth:`end`.

    Parameters
    ----------
    info : pylsl.StreamInfo
        What it is.
    max_buffered : int
        How much is kept for a slow consumer: in seconds, or for irregular streams in hundreds of
        samples.

    Raises
    ------
    StreamError
        When LSL refuses to create it.
    """

    def __init__(self, info: pylsl.StreamInfo, max_buffered: int) -> None:
        try:
            self._outlet: pylsl.StreamOutlet | None = pylsl.StreamOutlet(info, 0, max_buffered)
        except RuntimeError as error:
            name = info.name()
            raise StreamError(f"LSL could not create the stream {name!r}: {error}") from error
        self.uid: str = self._outlet.get_info().uid()

    def has_consumers(self) -> bool:
        """Tell whether anybody receives what is pushed now."""
        return self._outlet is not None and bool(self._outlet.have_consumers())

    def push(self, values: Array, stamps_s: Stamps) -> None:
        """Publish samples of shape (n_samples, n_channels), in the stream's format."""
        outlet = self._outlet  # another thread may end it meanwhile
        if outlet is not None:
            push_array(outlet, values, stamps_s)

    def push_text(self, text: str, stamp_s: float) -> None:
        """Publish a marker."""
        if self._outlet is not None:
            self._outlet.push_sample([text], stamp_s)

    def end(self) -> None:
        """End the outlet; others cannot find it any more."""
        self._outlet = None


def push_array(outlet: pylsl.StreamOutlet, values: Array, stamps_s: Stamps) -> None:
    """Push an array of samples with an array of stamps.

    The public call of pylsl turns an array of stamps into Python floats, at four times the cost;
    it is used where this version of pylsl has no other, and for a single value, at a third of it.

    Parameters
    ----------
    outlet : pylsl.StreamOutlet
        Where to push.
    values : ndarray of shape (n_samples, n_channels)
        Of the numeric type of the outlet.
    stamps_s : ndarray of float64 of shape (n_samples,)
        One for each sample, in LSL seconds.
    """
    if values.size == 1:
        outlet.push_sample([values.item()], float(stamps_s[0]))
        return
    push = getattr(outlet, "do_push_chunk_n", None)
    handle = getattr(outlet, "obj", None)
    if push is None or handle is None:
        outlet.push_chunk(values.tolist(), stamps_s.tolist())
        return
    data = np.ascontiguousarray(values)
    stamps = np.ascontiguousarray(stamps_s)
    handle_error(
        push(
            handle,
            ctypes.c_void_p(data.ctypes.data),
            ctypes.c_long(data.size),
            ctypes.c_void_p(stamps.ctypes.data),
            ctypes.c_int(1),
        )
    )
