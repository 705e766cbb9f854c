"""Request models of the PCOMMs, and the parser of their JSON payloads. Pure.

A request arrives as ``PCOMM|{json}``. Macros of a control room send numbers and booleans as text
(``"0.5"``, ``"True"``) and lists of one as a bare value; all of that is accepted. Whatever else is
wrong is refused with a `RequestError` that names the field, the value and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from bela_module.errors import RequestError
from bela_module.input_settings import InputFields, InputName, InputSettings
from bela_module.validation import (
    MAX_NAMES,
    FirstFaultOnly,
    Group,
    Name,
    Names,
    as_list,
    at_most,
    checked_filename,
    describe_errors,
    not_empty,
    refuse_bool,
    shown,
)

MAX_TICK: Final = 2**63 - 1
MAX_BUFFER_ID: Final = 2**32 - 1
MAX_SECONDS: Final = 366 * 86_400.0
"""Longest time that can be asked for: a year."""

MAX_LSL_S: Final = 1e15
"""Latest LSL time that is counted with: some million years."""

MAX_NUMBERS: Final = 16_000
"""Most numbers of one SEND: the board takes no message of more bytes."""

_MAX_KEYS: Final = 32

_INTEGER_RANGES: Final = {"c": (-128, 255), "j": (0, 2**32 - 1), "i": (-(2**31), 2**31 - 1)}


def _integral(value: object) -> object:
    """Accept ``"3"``, ``3.0`` and ``"3e0"`` as the integer 3; refuse booleans."""
    refuse_bool(value)
    if isinstance(value, str) and not value.strip().lstrip("+-").isdecimal():
        try:
            value = float(value)
        except ValueError:
            return value  # refused by the check that follows
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _checked_dir(folder: str) -> str:
    if not folder.isprintable() or len(folder) > 1000:
        raise ValueError("must be a folder inside the configured recording.dir")
    return folder


Integer = Annotated[int, BeforeValidator(_integral)]
Tick = Annotated[Integer, Field(ge=0, le=MAX_TICK)]
TickList = Annotated[
    tuple[Tick, ...],
    FirstFaultOnly(),
    AfterValidator(not_empty),
    BeforeValidator(as_list),
    BeforeValidator(at_most(MAX_NAMES)),
]
Durations = Annotated[
    tuple[Annotated[Integer, Field(ge=1, le=MAX_TICK)], ...],
    FirstFaultOnly(),
    AfterValidator(not_empty),
    BeforeValidator(as_list),
    BeforeValidator(at_most(MAX_NAMES)),
]
Number = Annotated[float, BeforeValidator(refuse_bool), Field(allow_inf_nan=False)]
Numbers = Annotated[
    tuple[Number, ...],
    FirstFaultOnly(),
    AfterValidator(not_empty),
    BeforeValidator(as_list),
    BeforeValidator(at_most(MAX_NUMBERS)),
]
Seconds = Annotated[Number, Field(gt=0, le=MAX_SECONDS)]
Delay = Annotated[Number, Field(ge=0, le=MAX_SECONDS)]
SomeNames = Annotated[Names, AfterValidator(not_empty)]


class Request(BaseModel):
    """Base of all requests, and the one of PCOMMs without a payload."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyRequest = TypeVar("AnyRequest", bound=Request)


class CheckRequest(Request):
    """Check board, network, clock, LSL and this computer."""

    seconds: Annotated[Number, Field(ge=1, le=3600)] = 8.0
    """How long to stream."""


class PrepareRequest(Request):
    """Open the outlets, before any data."""

    variables: SomeNames | None = None
    """None: those of the configuration, else all."""
    group: Group | None = None
    """None: as configured."""


class StartRequest(Request):
    """Stream until ``STOP``."""

    variables: SomeNames | None = None
    """None: those that are prepared, else those of the configuration, else all."""
    group: Group | None = None
    """None: as prepared, else as configured."""
    exclusive: bool = False
    """Whether to end first what other clients have left watched or monitored."""
    start_in_s: Delay = 0.0
    """When the first samples are taken, from now on."""
    saving_enabled: bool = False
    saving_dir: Annotated[str, AfterValidator(_checked_dir)] | None = None
    saving_filename: Annotated[str, AfterValidator(checked_filename)] | None = None


class ScheduleRequest(Request):
    """Let the board start and end the streams by itself, exactly.

    Either in board ticks (`timestamps` and `durations`) or in time (`duration_s`, with
    `start_in_s` or `start_lsl_s` where it does not begin at once).
    """

    variables: SomeNames | None = None
    """None: those that are prepared, else those of the configuration, else all."""
    group: Group | None = None
    """None: as prepared, else as configured."""
    timestamps: TickList | None = None
    """First tick, for each variable or one for all."""
    durations: Durations | None = None
    """Ticks until the last one, which is included; 0 would mean *without end* to the board."""
    start_in_s: Delay | None = None
    """None with `duration_s` and without `start_lsl_s`: at once."""
    start_lsl_s: Annotated[Number, Field(ge=0, le=MAX_LSL_S)] | None = None
    duration_s: Seconds | None = None

    @property
    def in_ticks(self) -> bool:
        """Whether start and end are given in board ticks, not in seconds."""
        return self.timestamps is not None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        ticks = self.timestamps is not None, self.durations is not None
        starts = self.start_in_s is not None, self.start_lsl_s is not None
        in_time = any(starts) or self.duration_s is not None
        if any(ticks) == in_time or (any(ticks) and not all(ticks)):
            raise ValueError(
                "either timestamps and durations (board ticks) are required, "
                "or duration_s, with start_in_s or start_lsl_s"
            )
        if in_time and self.duration_s is None:
            raise ValueError("duration_s is required with start_in_s or start_lsl_s")
        if all(starts):
            raise ValueError("start_in_s and start_lsl_s exclude each other")
        if self.timestamps is not None and self.variables is not None:
            self.ticks_for(self.variables)
        return self

    def ticks_for(self, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
        """Spread timestamps and durations over the variables.

        Parameters
        ----------
        names : sequence of str
            The variables that are scheduled.

        Returns
        -------
        tuple of (int, int)
            For each variable the first tick and the ticks from there to the last one.

        Raises
        ------
        RequestError
            There are neither as many values as variables nor just one, or none at all.
        """
        return tuple(
            zip(
                _spread("timestamps", self.timestamps, names),
                _spread("durations", self.durations, names),
                strict=True,
            )
        )


class MonitorRequest(Request):
    """Single values at a low rate and low delay."""

    variables: SomeNames | None = None
    period_s: Seconds | None = None
    periods: Durations | None = None
    """Ticks between two values, for each variable or one for all; 1 means *once* to the board."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.period_s is not None and self.periods is not None:
            raise ValueError("period_s and periods exclude each other")
        if self.periods is not None and self.variables is not None:
            self.periods_for(self.variables)
        return self

    def periods_for(self, names: Sequence[str]) -> tuple[int, ...]:
        """Spread `periods` over the variables.

        Parameters
        ----------
        names : sequence of str
            The variables that are monitored.

        Returns
        -------
        tuple of int
            Ticks between two values, for each variable.

        Raises
        ------
        RequestError
            There are neither as many periods as variables nor just one, or none at all.
        """
        return _spread("periods", self.periods, names)


class SetRequest(Request):
    """Take control of variables and set them."""

    values: Annotated[dict[Name, Number], Field(min_length=1), BeforeValidator(at_most(MAX_NAMES))]


class ReleaseRequest(Request):
    """Give control back to the sketch."""

    variables: SomeNames | None = None
    """None: all that the board lists as controlled, by this module or before it."""


class SendRequest(Request):
    """Send a buffer of numbers to the sketch."""

    buffer_id: Annotated[Integer, Field(ge=0, le=MAX_BUFFER_ID)]
    type: Literal["c", "j", "i", "f", "d"]
    """C++ type on the board: char, unsigned int, int, float, double."""
    data: Numbers

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.type not in _INTEGER_RANGES:
            return self
        low, high = _INTEGER_RANGES[self.type]
        for number in self.data:
            if not (low <= number <= high and math.floor(number) == number):
                raise ValueError(
                    f"data = {shown(number)}: type {self.type} takes "
                    f"whole numbers from {low} to {high}"
                )
        return self


class ConnectInputRequest(Request, InputFields):
    """Have an LSL stream drive the board."""

    name: InputName
    """Of the input; alone it means the one of the configuration."""

    @property
    def settings(self) -> InputSettings | None:
        """What is to be connected; ``None``: what the configuration says of that name."""
        if self.stream is None:
            return None
        given = self.model_fields_set - {"name"}
        return InputSettings.model_validate({key: getattr(self, key) for key in given})

    @model_validator(mode="after")
    def _check_stream(self) -> Self:
        if self.stream is None and (given := self.model_fields_set - {"name"}):
            raise ValueError(f"stream is required with {', '.join(sorted(given))}")
        return self


class DisconnectInputRequest(Request):
    """End an input."""

    name: InputName | None = None
    """None: all of them."""


class VerboseRequest(Request):
    """Switch the reply lines of one connection on or off."""

    on: bool = True


def parse_fields(payload: str) -> dict[str, object]:
    """Parse the JSON of a payload into its fields.

    Parameters
    ----------
    payload : str
        A JSON object, or nothing but white space for an empty one.

    Returns
    -------
    dict
        The fields.

    Raises
    ------
    RequestError
        It is no JSON, or no JSON object, or one with more keys than any PCOMM has.
    """
    try:
        fields = from_json(payload, allow_inf_nan=False) if payload.strip() else {}
    except ValueError as error:
        raise RequestError(f"the payload {shown(payload)} is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RequestError(f"the payload {shown(payload)} is no JSON object like {{}}")
    if len(fields) > _MAX_KEYS:
        raise RequestError(f"the payload has {len(fields)} keys; no PCOMM has so many")
    return fields


def make_request(model: type[AnyRequest], fields: Mapping[str, object]) -> AnyRequest:
    """Validate the fields of a payload.

    Parameters
    ----------
    model : type of Request
        The kind of request.
    fields : mapping
        The payload.

    Returns
    -------
    Request
        A request of that kind.

    Raises
    ------
    RequestError
        A field is not what it must be; the message names each field at fault.
    """
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise RequestError("; ".join(describe_errors(error, model))) from None


def saving_folder(folder: Path, asked: str | None) -> Path:
    """Resolve the folder of a recording inside the configured one.

    Parameters
    ----------
    folder : pathlib.Path
        The configured ``recording.dir``.
    asked : str or None
        ``saving_dir`` of a request: relative to `folder`, or an absolute path inside it.

    Returns
    -------
    pathlib.Path
        An absolute path, links resolved; it need not exist yet.

    Raises
    ------
    RequestError
        It lies outside of `folder`, or a link cannot be followed.
    """
    try:
        root = folder.resolve()
        found = (root / (asked or "")).resolve()
        with suppress(FileNotFoundError):
            found.stat()  # from Python 3.13 on, resolve() takes a loop of links for a folder
    except (OSError, RuntimeError) as error:  # a loop of links is either, by Python's version
        words = getattr(error, "strerror", None) or error
        raise RequestError(f"saving_dir = {shown(asked)}: no folder: {words}") from error
    if not found.is_relative_to(root):
        raise RequestError(f"saving_dir = {shown(asked)}: must lie inside of {root}")
    return found


def _spread(key: str, values: tuple[int, ...] | None, names: Sequence[str]) -> tuple[int, ...]:
    given = values or ()
    if len(given) == 1:
        return given * len(names)
    if len(given) != len(names):
        raise RequestError(
            f"{key} must be one for all or one for each of {len(names)} variables, not {len(given)}"
        )
    return given
