"""Settings and their defaults: a TOML file (``configs/bela.toml``) read into validated models.

Nothing is read when this module is imported. Unknown keys are refused, and all errors of a file
are reported at once: the file, the key, the value and what is allowed. Without any file, as when
the package is installed, the built-in defaults below hold; ``configs/bela.toml`` shows them all.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from bela_module.errors import ConfigError
from bela_module.input_settings import InputSettings
from bela_module.validation import (
    Group,
    Name,
    Names,
    StreamName,
    as_list,
    checked_folder,
    checked_host,
    checked_stream_name,
    describe_errors,
    describe_toml_error,
    host_in_url,
    refuse_bool,
    shown,
    split_address,
)

DEFAULT_CONFIG: Final = Path(__file__).resolve().parent.parent / "configs" / "bela.toml"
"""The configuration of a checkout; an installed package has none and takes the defaults."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

MAX_CALLBACK_CHARS: Final = 1024
"""Longest callback message: the control room reads one with a single call."""

_LEVEL_NUMBERS: Final = {"10": "DEBUG", "20": "INFO", "30": "WARNING", "40": "ERROR"}


def _checked_address(address: str) -> str:
    host, port = split_address(address)
    if not host or not port or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError('must be "host:port"')
    checked_host(host)
    return address


def _checked_callback(message: str) -> str:
    """Check a message for the control room: ``<module>|<PCOMM>|{json}``."""
    rule = 'must be "<module>|<PCOMM>|{json object}"'
    parts = message.split("|")
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise ValueError(f"{rule}, with exactly two '|'")
    # The control room decodes ASCII, splits at ";" and strips leading "1"s, its answer to UP.
    if not (message.isascii() and message.isprintable()) or ";" in message:
        raise ValueError(f"{rule}, printable ASCII without ';'")
    if message.startswith("1"):
        raise ValueError(f"{rule}; the module's name must not begin with 1")
    if len(message) > MAX_CALLBACK_CHARS:
        raise ValueError(f"{rule}, of at most {MAX_CALLBACK_CHARS} characters")
    try:
        payload = json.loads(parts[2])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{rule}; its JSON is broken: {error}") from None
    if not isinstance(payload, dict):
        raise ValueError(f"{rule}; the part after the second '|' is no JSON object")
    return message


def _level_name(level: object) -> object:
    return _LEVEL_NUMBERS.get(text := str(level).strip().upper(), text)


Host = Annotated[str, AfterValidator(checked_host)]
Callback = Annotated[str, AfterValidator(_checked_callback)]
Level = Annotated[LogLevel, BeforeValidator(_level_name)]
Positive = Annotated[float, BeforeValidator(refuse_bool), Field(gt=0, allow_inf_nan=False)]
Delay = Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[Positive, Field(le=86_400)]
WholeNumber = Annotated[int, BeforeValidator(refuse_bool)]
Texts = Annotated[tuple[str, ...], BeforeValidator(as_list)]


class _Section(BaseModel):
    """A table of the file: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class BoardSettings(_Section):
    """``[board]``: address, name and timing of the board."""

    host: Host = "bela.local"
    port: WholeNumber = Field(default=5555, ge=1, le=65535)
    name: StreamName = "bela"
    """Part of each stream's ``source_id``: tells two boards of one lab apart."""
    input_delay_s: Delay = 0.0
    """Known delay of the converters, subtracted from all stamps."""
    reply_timeout_s: Annotated[Positive, Field(le=60)] = 2.0

    @property
    def url(self) -> str:
        """The address of the board's websockets, without a path."""
        return f"ws://{host_in_url(self.host)}:{self.port}"


class ServerSettings(_Section):
    """``[server]``: where PCOMMs are served."""

    ip: Host = "127.0.0.1"
    port: WholeNumber = Field(default=8080, ge=0, le=65535)
    """0 takes a free one."""
    max_connections: WholeNumber = Field(default=16, ge=1, le=1000)


class StreamingSettings(_Section):
    """``[streaming]``: settings of all streams."""

    variables: Names = ()
    """What ``START`` streams when it names nothing; empty: all that the board has."""
    group: Group = "auto"
    """Whether variables without a ``[streams]`` table share streams: from 17 on, never, always."""
    exclusive: bool = False
    """Whether ``START`` first ends what other clients have left watched or monitored."""
    prefix: Annotated[str, AfterValidator(checked_stream_name)] = "bela_"
    prompt: Literal["auto", "off"] = "auto"
    """Whether slow variables come value by value, within milliseconds; off: no monitors at all."""
    max_buffered_s: Seconds = 10.0
    events_stream: StreamName = "bela_events"
    clock_stream: Annotated[str, AfterValidator(checked_stream_name)] = "bela_clock"
    """Name of the stream that tells of the board's clock; empty: there is none."""
    loop_stream: Annotated[str, AfterValidator(checked_stream_name)] = "bela_loop"
    """Name of the stream that tells of closed loops; empty: there is none."""


class StreamSettings(_Section):
    """``[streams.NAME]``: a stream of one or several variables, and its metadata."""

    variables: Annotated[Names, Field(min_length=1)]
    mode: Literal["watch", "monitor"] | None = None
    """``watch``: in blocks, also where single values would be prompter; None: whatever is best."""
    period_s: Seconds | None = None
    """Time between two values; only in mode ``monitor``."""
    type: Name = "Bela"
    """LSL's content type."""
    units: Texts = ()
    """The unit of each channel, or one text for all of them; empty: unknown."""
    labels: Texts = ()
    """The label of each channel; empty: the variables' names."""
    nominal_rate_hz: Annotated[Positive, Field(le=1e9)] | None = None
    max_buffered_s: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _spread_unit(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("units"), str):
            return data
        names = as_list(data.get("variables"))
        count = len(names) if isinstance(names, list | tuple) else 0
        return {**data, "units": [data["units"]] * count}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        for key, texts in (("labels", self.labels), ("units", self.units)):
            if texts and len(texts) != len(self.variables):
                raise ValueError(
                    f"{key} must be as many as variables: "
                    f"{len(texts)} {key} for {len(self.variables)} variables"
                )
        if self.mode != "monitor" and self.period_s is not None:
            raise ValueError('period_s needs mode = "monitor"')
        if self.mode == "monitor" and self.nominal_rate_hz is not None:
            raise ValueError('nominal_rate_hz needs mode = "watch": monitored values are irregular')
        return self


class RecordingSettings(_Section):
    """``[recording]``: where and how ``START`` records to files."""

    dir: Annotated[Path, AfterValidator(checked_folder)] = Path("recordings")
    """Made absolute on loading: relative to the folder of the configuration file."""
    format: Literal["text", "compact", "csv"] = "text"


class CallbackSettings(_Section):
    """``[callbacks]``: messages for the control room, one for each event of the session."""

    to: Annotated[str, AfterValidator(_checked_address)] | None = None
    """Where they go, ``host:port``; None: to the connection that behaves as a control room."""
    linger_s: Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=60)] = 1.0
    """How long those of ``stopped`` and ``schedule_finished`` wait for recorders to fetch all."""
    started: Callback | None = None
    stopped: Callback | None = None
    schedule_started: Callback | None = None
    schedule_finished: Callback | None = None
    gap: Callback | None = None
    disconnected: Callback | None = None
    reconnected: Callback | None = None
    board_restarted: Callback | None = None
    set: Callback | None = None
    error: Callback | None = None

    @property
    def messages(self) -> dict[str, str]:
        """The messages that are configured, by the event."""
        events = set(type(self).model_fields) - {"to", "linger_s"}
        return {event: text for event in events if (text := getattr(self, event)) is not None}


class LogSettings(_Section):
    """``[log]``: the log level, and the log server."""

    level: Level = "INFO"
    host: Host = "127.0.0.1"
    """Where the log server of the control room is."""
    port: WholeNumber = Field(default=9020, ge=1, le=65535)


class Settings(_Section):
    """All settings of this module, frozen.

    Raises
    ------
    pydantic.ValidationError
        A value that is not allowed; :func:`load_settings` raises it as a `ConfigError`.
    """

    board: BoardSettings = BoardSettings()
    server: ServerSettings = ServerSettings()
    streaming: StreamingSettings = StreamingSettings()
    streams: dict[StreamName, StreamSettings] = Field(default_factory=dict)
    inputs: dict[StreamName, InputSettings] = Field(default_factory=dict)
    recording: RecordingSettings = RecordingSettings()
    callbacks: CallbackSettings = CallbackSettings()
    log: LogSettings = LogSettings()

    @field_validator("streams")
    @classmethod
    def _check_members(cls, streams: dict[str, StreamSettings]) -> dict[str, StreamSettings]:
        owner: dict[str, str] = {}
        for name, stream in streams.items():
            for variable in stream.variables:
                other = owner.setdefault(variable, name)
                if other != name:
                    raise ValueError(
                        f"variable {shown(variable)} stands in [streams.{other}] and in "
                        f"[streams.{name}]; only one stream may have it"
                    )
        return streams

    @model_validator(mode="after")
    def _check_stream_names(self) -> Self:
        prefix = self.streaming.prefix
        grouped = {name for stream in self.streams.values() for name in stream.variables}
        single = [name for name in self.streaming.variables if name not in grouped]
        names = Counter(prefix + name for name in [*self.streams, *single])
        own = self.streaming
        ours = (own.events_stream, own.clock_stream, own.loop_stream)
        for name, count in names.items():
            if count > 1 or name in ours:
                raise ValueError(
                    f"two streams would be named {shown(name)}; "
                    "rename one in [streams], or change streaming.prefix"
                )
        return self


def load_settings(path: str | Path | None = None) -> Settings:
    """Read and validate a configuration file.

    Parameters
    ----------
    path : str or pathlib.Path, optional
        The TOML file. Without it the checkout's ``configs/bela.toml`` is read when it exists,
        else the built-in defaults are taken.

    Returns
    -------
    Settings
        With an absolute ``recording.dir``: a relative one starts at the folder of the file, or,
        without a file, at the current folder.

    Raises
    ------
    ConfigError
        The file cannot be read, or something in it is wrong; the message has a line for each error.
    """
    if path is None and not DEFAULT_CONFIG.is_file():
        return _anchored(Settings(), Path())
    file = DEFAULT_CONFIG if path is None else Path(path)
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))  # editors of Windows mark it
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is no TOML: {describe_toml_error(error)}") from error
    return _anchored(parse_settings(table, str(file)), file.parent)


def parse_settings(table: Mapping[str, Any], source: str) -> Settings:
    """Validate settings that were read already.

    Parameters
    ----------
    table : mapping
        The keys and values, as in the TOML file.
    source : str
        What to call their source in an error.

    Returns
    -------
    Settings
        The settings, with the defaults for what is not in the table.

    Raises
    ------
    ConfigError
        Something in it is wrong; the message has one line for each error.
    """
    try:
        return Settings.model_validate(dict(table))
    except ValidationError as error:
        lines = [f"{source}: {line}" for line in describe_errors(error, Settings)]
        raise ConfigError("\n".join(lines)) from error


def with_overrides(settings: Settings, **sections: Mapping[str, Any]) -> Settings:
    """Change some settings, as a command line does.

    Parameters
    ----------
    settings : Settings
        The settings to start from; they stay as they are.
    **sections : mapping
        For each section the keys to change, such as ``server={"port": 0}``. A value of None
        leaves the key alone.

    Returns
    -------
    Settings
        The changed settings, validated again.

    Raises
    ------
    ConfigError
        A value is not allowed.
    """
    table = settings.model_dump(exclude_unset=True)
    for name, changes in sections.items():
        given = {key: value for key, value in changes.items() if value is not None}
        table[name] = {**table.get(name, {}), **given}
    return parse_settings(table, "command line")


def with_board_address(
    settings: Settings, board: str | None, environ: Mapping[str, str]
) -> Settings:
    """Choose the board address: argument, else environment, else configuration.

    Parameters
    ----------
    settings : Settings
        The configuration; its address holds when nothing else is given.
    board : str or None
        ``HOST`` or ``HOST:PORT`` of the command line; without a port the configured one holds. An
        IPv6 address with a port stands in brackets.
    environ : mapping
        The environment, of which ``BELA_HOST`` and ``BELA_PORT`` are read.

    Returns
    -------
    Settings
        Settings with that address.

    Raises
    ------
    ConfigError
        The address is not valid; the message names where it came from.
    """
    address = {"host": environ.get("BELA_HOST") or None, "port": environ.get("BELA_PORT") or None}
    source = "BELA_HOST / BELA_PORT"
    if board is not None:
        address = dict(zip(("host", "port"), split_address(board), strict=True))
        source = f"--board {board}"
    table = {**settings.board.model_dump(), **{k: v for k, v in address.items() if v is not None}}
    try:
        return settings.model_copy(update={"board": BoardSettings.model_validate(table)})
    except ValidationError as error:
        lines = [f"{source}: {line}" for line in describe_errors(error, BoardSettings)]
        raise ConfigError("\n".join(lines)) from error


def _anchored(settings: Settings, folder: Path) -> Settings:
    asked = settings.recording.dir
    try:
        absolute = (folder.resolve() / asked.expanduser()).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links, a user that is not known
        words = getattr(error, "strerror", None) or error
        raise ConfigError(f"recording.dir = {shown(str(asked))}: no folder: {words}") from error
    recording = settings.recording.model_copy(update={"dir": absolute})
    return settings.model_copy(update={"recording": recording})
