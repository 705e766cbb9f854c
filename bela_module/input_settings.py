"""Settings of an input: which LSL stream it takes, and what of the board it drives. Pure.

They stand in ``[inputs.NAME]`` of the configuration, or in the payload of ``CONNECT_INPUT``.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bela_module.validation import (
    MAX_NAMES,
    FirstFaultOnly,
    Name,
    Names,
    StreamName,
    as_list,
    at_most,
    checked_name,
    refuse_bool,
)

Number = Annotated[float, BeforeValidator(refuse_bool), Field(allow_inf_nan=False)]
WholeNumber = Annotated[int, BeforeValidator(refuse_bool)]
Numbers = Annotated[
    tuple[Number, ...],
    FirstFaultOnly(),
    BeforeValidator(as_list),
    BeforeValidator(at_most(MAX_NAMES)),
]
_MAX_CHANNEL: Final = 10_000


def _checked_channel(value: Any) -> int | str:
    if isinstance(value, str):
        return checked_name(value)
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    if not is_whole or not 0 <= value <= _MAX_CHANNEL:
        raise ValueError(f"must be the number of a channel, 0 to {_MAX_CHANNEL}, or its label")
    return int(value)


Channels = Annotated[
    tuple[Annotated[int | str, BeforeValidator(_checked_channel)], ...],
    FirstFaultOnly(),
    BeforeValidator(as_list),
    BeforeValidator(at_most(MAX_NAMES)),
]
OnMissing = Literal["hold", "default", "release"]
"""What becomes of what an input drives when it has no value: stays, gets the default, is freed."""

MIN_RATE_HZ: Final = 0.01
MAX_RATE_HZ: Final = 10_000.0
"""Least and most messages a second to which an input may be limited."""


class StreamChoice(BaseModel):
    """Which LSL stream is meant: all that is given must be so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: StreamName | None = None
    type: StreamName | None = None
    """LSL's content type."""
    source_id: StreamName | None = None
    predicate: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """In the words of LSL, such as ``channel_count>3 and contains(hostname,'lab')``."""

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if not self.as_predicate:
            raise ValueError("must have a name, type, source_id or predicate")
        return self

    @property
    def as_predicate(self) -> str:
        """What LSL is asked for."""
        parts = [
            f"{key}='{value}'"
            for key, value in (
                ("name", self.name),
                ("type", self.type),
                ("source_id", self.source_id),
            )
            if value is not None
        ]
        if self.predicate is not None:
            parts.append(f"({self.predicate})")
        elif self.type is not None and len(parts) == 1:  # our own markers are no commands
            parts.append("not(starts-with(source_id,'bela:'))")
        return " and ".join(parts)

    def __str__(self) -> str:
        """Name it for people: its name, else what is looked for."""
        return repr(self.name) if self.as_predicate == f"name='{self.name}'" else self.as_predicate


def _as_choice(value: Any) -> Any:
    if not isinstance(value, str | dict | StreamChoice):
        raise ValueError("must be a name, or a table of name, type, source_id or predicate")
    return {"name": value} if isinstance(value, str) else value


Choice = Annotated[StreamChoice, BeforeValidator(_as_choice)]


class InputFields(BaseModel):
    """What an input may be told, in the configuration or in a request."""

    stream: Choice | None = None
    """A text alone is the stream's name."""
    channels: Channels = ()
    """Numbers, from 0 on, or labels of channels; empty: all of them."""
    buffer_id: Annotated[WholeNumber, Field(ge=0, lt=2**32)] | None = None
    """The sketch's buffer that gets the values."""
    type: Literal["c", "j", "i", "f", "d"] = "f"
    """C++ type of the buffer: char, unsigned int, int, float, double."""
    variables: Names = ()
    """Variables that are controlled instead, one for each channel."""
    markers: dict[str, Number] = Field(default_factory=dict, max_length=MAX_NAMES)
    """The value of each text of a stream of markers; other texts are left out."""
    scale: Numbers = (1.0,)
    """Factor of each channel, or one for all; then `offset` is added."""
    offset: Numbers = (0.0,)
    limits: tuple[Number, Number] | None = None
    """Least and greatest value that is sent, after scaling; what is beyond is clipped."""
    max_rate_hz: Annotated[Number, Field(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)] = 1000.0
    """Most messages a second; of samples that come faster the latest is sent."""
    per: Literal["sample", "chunk"] = "sample"
    """Whether a message has the latest sample, or all that came together, one after another."""
    on_end: OnMissing = "hold"
    """When the stream ends, and at STOP, DISCONNECT_INPUT and CLOSE."""
    on_nan: OnMissing = "hold"
    """When a value is NaN or infinite: hold leaves the sample out."""
    default: Numbers = ()
    """Value of each channel, or one for all, for ``"default"``; it is not scaled."""
    echo: Name | None = None
    """Sparse variable to which the sketch copies the number that then begins each message."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.stream is None:
            return self
        if (self.buffer_id is None) == (not self.variables):
            raise ValueError("either buffer_id is required, or variables")
        if self.variables:
            self._check_variables()
        elif "release" in (self.on_end, self.on_nan):
            raise ValueError('"release" needs variables: a buffer is nobody\'s to give back')
        if "default" in (self.on_end, self.on_nan) and not self.default:
            raise ValueError('default is required for "default"')
        if self.echo is not None and self.type == "c":
            raise ValueError('echo needs another type than "c", which holds no large number')
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise ValueError("limits must be the least value and a greater one")
        if self.limits is not None and self.buffer_id is not None and self.type in "cji":
            self._check_whole(*self.limits)
        if not self.scale or not self.offset:
            raise ValueError("scale and offset must have a number each")
        return self

    def _check_whole(self, low: float, high: float) -> None:
        if math.ceil(low) > math.floor(high):
            raise ValueError(f"limits hold no whole number, which type {self.type!r} needs")

    def _check_variables(self) -> None:
        if self.echo is not None:
            raise ValueError("echo needs buffer_id: a number that is set does not tell when")
        if self.per == "chunk":
            raise ValueError('per = "chunk" needs buffer_id: a variable has one value')
        if self.channels and len(self.channels) != len(self.variables):
            raise ValueError(
                f"channels must be as many as variables: {len(self.channels)} channels for "
                f"{len(self.variables)} variables"
            )


class InputSettings(InputFields):
    """``[inputs.NAME]``: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    stream: Choice


InputName = StreamName
"""What an input is called."""
