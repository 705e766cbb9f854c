"""Maps samples of a stream to what a board gets: channels, markers, scale, limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from bela_module.errors import RequestError
from bela_module.input_settings import InputFields, OnMissing
from bela_module.protocol.variables import ValueType
from bela_module.validation import shown

Rows = NDArray[np.float64]
"""Values of shape (n_samples, n_values)."""


@dataclass(frozen=True, slots=True)
class InputStreamFacts:
    """What a stream says of itself.

    Parameters
    ----------
    labels : tuple of str
        A label for each channel, empty where none is told.
    is_text : bool
        Whether its values are texts.
    nominal_rate_hz : float
        0 of an irregular stream.
    host : str
        The computer that it comes from.
    """

    labels: tuple[str, ...]
    is_text: bool = False
    nominal_rate_hz: float = 0.0
    host: str = ""


class Refused(Enum):
    """Why a sample gives no value."""

    NOT_A_NUMBER = auto()
    UNKNOWN_MARKER = auto()


@dataclass(frozen=True, slots=True, eq=False)
class MappedRows:
    """What becomes of some samples.

    Parameters
    ----------
    rows : ndarray of shape (n_kept, n_values)
        What is to be sent, within its limits.
    refused : sequence of Refused
        Why others were left out.
    releases : bool
        Whether control is to be given back, since the newest sample says so.
    """

    rows: Rows
    refused: Sequence[Refused] = ()
    releases: bool = False


class InputMapping:
    """The way from a sample to the values that are sent.

    Parameters
    ----------
    settings : InputFields
        Of the input.
    facts : InputStreamFacts
        Of its stream.
    value_types : sequence of ValueType
        Of the variables that are driven, or of the buffer, one for all.

    Raises
    ------
    RequestError
        When the stream is not what the settings say: its channels, or texts and numbers.
    """

    def __init__(
        self, settings: InputFields, facts: InputStreamFacts, value_types: Sequence[ValueType]
    ) -> None:
        if facts.is_text != bool(settings.markers):
            raise RequestError(
                "the stream has texts: markers = {...} must give each a value"
                if facts.is_text
                else "the stream has numbers, and markers are for texts: leave them out"
            )
        self._settings = settings
        self._channels = _find_channels(settings.channels, facts)
        self.n_values = len(self._channels)
        if settings.variables and len(settings.variables) != self.n_values:
            raise RequestError(
                f"{self.n_values} channels for {len(settings.variables)} variables: set channels "
                "to as many as there are variables"
            )
        self._scale = self._spread("scale", settings.scale)
        self._offset = self._spread("offset", settings.offset)
        self.default = self._spread("default", settings.default) if settings.default else None
        low, high = settings.limits or (-np.inf, np.inf)
        lows, highs = _ranges(value_types, self.n_values)
        self._low, self._high = np.maximum(lows, low), np.minimum(highs, high)
        self._is_whole = np.resize([t.dtype.kind in "iu" for t in value_types], self.n_values)
        self._low = np.where(self._is_whole, np.ceil(self._low), self._low)
        self._high = np.where(self._is_whole, np.floor(self._high), self._high)
        if np.any(self._low > self._high):
            raise RequestError(
                f"limits = [{low:g}, {high:g}] hold no value that each variable can take: a whole "
                "number in the range of its type, where it is one of whole numbers"
            )
        if self.default is not None:
            self.default = self._bounded(self.default[np.newaxis])[0]

    def map_numbers(self, samples: NDArray[np.generic]) -> MappedRows:
        """Map samples of numbers, of shape (n_samples, n_channels).

        Of ``on_nan``: ``hold`` leaves such a sample out, ``default`` replaces the value.
        """
        rows = np.asarray(samples, np.float64)[:, self._channels]
        finite = np.isfinite(rows)
        kept = np.asarray(finite.all(axis=1))
        rows = self._bounded(self._scaled(rows))
        if kept.all():
            return MappedRows(rows)
        policy: OnMissing = self._settings.on_nan
        if policy == "default" and self.default is not None:
            return MappedRows(np.where(finite, rows, self.default))
        refused = (Refused.NOT_A_NUMBER,) * int(np.count_nonzero(~kept))
        return MappedRows(rows[kept], refused, releases=policy == "release" and not kept[-1])

    def map_texts(self, samples: Sequence[Sequence[str]]) -> MappedRows:
        """Map samples of texts, each with one for each channel of the stream."""
        markers: Mapping[str, float] = self._settings.markers
        known: list[list[float]] = []
        for sample in samples:
            texts = [sample[channel] for channel in self._channels]
            if all(text in markers for text in texts):
                known.append([markers[text] for text in texts])
        refused = (Refused.UNKNOWN_MARKER,) * (len(samples) - len(known))
        rows = np.array(known, np.float64).reshape(len(known), self.n_values)
        return MappedRows(self._bounded(self._scaled(rows)), refused)

    def _scaled(self, rows: Rows) -> Rows:
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is clipped
            return rows * self._scale + self._offset

    def _bounded(self, rows: Rows) -> Rows:
        with np.errstate(invalid="ignore"):
            whole = np.where(self._is_whole, np.rint(rows), rows)
        return np.clip(whole, self._low, self._high)

    def _spread(self, key: str, numbers: Sequence[float]) -> Rows:
        if len(numbers) not in (1, self.n_values):
            raise RequestError(
                f"{key} = {shown(list(numbers))}: must be one number for all or one for each of "
                f"{self.n_values} channels"
            )
        return np.resize(np.array(numbers, np.float64), self.n_values)


def _find_channels(asked: Sequence[int | str], facts: InputStreamFacts) -> list[int]:
    n_channels = len(facts.labels)
    found: list[int] = []
    for channel in asked:
        if isinstance(channel, int) and channel < n_channels:
            found.append(channel)
        elif isinstance(channel, str) and channel in facts.labels:
            found.append(facts.labels.index(channel))
        elif isinstance(channel, str) and channel.isdecimal() and int(channel) < n_channels:
            found.append(int(channel))  # macros of a control room send numbers as texts
        else:
            known = [label for label in facts.labels if label]
            labelled = f", labelled {shown(known)}" if known else ""
            raise RequestError(
                f"channels = {shown(channel)}: the stream has {n_channels} channels from 0 on"
                f"{labelled}"
            )
    return found or list(range(n_channels))


def _ranges(value_types: Sequence[ValueType], n_values: int) -> tuple[Rows, Rows]:
    """Return the least and the greatest number that each destination holds."""
    lows: list[float] = []
    highs: list[float] = []
    for value_type in value_types:
        dtype = value_type.dtype
        limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        lows.append(max(float(limits.min), -np.finfo(np.float64).max))
        highs.append(min(float(limits.max), np.finfo(np.float64).max))
    return np.resize(lows, n_values), np.resize(highs, n_values)
