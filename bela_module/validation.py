"""Readable messages from pydantic's validation errors, and shared field types. Pure.

Configuration files and requests are both checked by pydantic models, whose messages are written
for programmers. :func:`describe_errors` turns them into one line for each field: where, what was
given, what is allowed.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Sized
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, FailFast, Field, ValidationError

T = TypeVar("T")

LONGEST_WAIT_S: Final = 4e6
"""Longest wait that any system accepts, some 46 days: stands for *without end*."""

MAX_NAME_CHARS: Final = 200
"""Longest name of a variable or a stream that is accepted."""

MAX_NAMES: Final = 2000
"""Most variables that one request may name: more than any sketch has."""

MAX_LISTED_NAMES: Final = 20
"""Most names that one message lists."""

MAX_FILENAME_BYTES: Final = 200
"""Longest file name that is accepted: more comes before and behind it, and systems allow 255."""

# Not allowed in a file name on some system on which recordings are opened.
_NOT_IN_FILENAMES: Final = frozenset('<>:"/\\|?*')
# Devices of Windows, whatever follows after a dot.
_RESERVED: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)

_SHOWN_CHARS: Final = 60
_MAX_PRINTED_CHARS: Final = 100
_MAX_DESCRIBED: Final = 8

# Pydantic's messages for these name Python types or its own internals.
_RULES: Final = {
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "dict_type": "must be a table of keys and values",
    "model_type": "must be a table of keys and values",
    "model_attributes_type": "must be a table of keys and values",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "string_type": "must be a text",
    "path_type": "must be a path",
}


_BACKSLASH_ADVICE: Final = r"in double quotes a \ begins an escape: write 'C:\temp', or C:/temp"
"""About paths of Windows in a TOML file."""


def shown(value: object) -> str:
    """Abbreviate a value for a message: ASCII only, on one line.

    At most some 60 printable ASCII characters.
    """
    try:
        text = reprlib.repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        text = "a number of very many digits"
    text = text.encode("ascii", "backslashreplace").decode("ascii")
    if len(text) > _SHOWN_CHARS:
        text = f"{text[: _SHOWN_CHARS - 3]}..."
    return text


def printable_name(name: str) -> str:
    """Make a name that LSL, XML and files take, the same each time; most names are one already.

    C++ allows any text as a variable's name. Quotes would keep LSL from finding a stream, and
    control characters are not allowed in XML. What is replaced or cut makes place for a hash of
    the whole name, so that two names stay two.
    """
    safe = "".join("_" if char in "'\"" or not char.isprintable() else char for char in name)
    if safe == name and len(name) <= _MAX_PRINTED_CHARS:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{safe[:_MAX_PRINTED_CHARS]}~{digest}"


def shorten(name: str) -> str:
    """Bound the length of a name for people: at most ``MAX_NAME_CHARS`` characters."""
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 3]}..."


def named(names: Iterable[str], most: int = MAX_LISTED_NAMES) -> str:
    """Join names of variables or streams for a message: printable and bounded, at most so many."""
    every = list(names)
    text = ", ".join(printable_name(name) for name in every[:most])
    return f"{text} and {len(every) - most} more" if len(every) > most else text


def host_in_url(host: str) -> str:
    """Put an IPv6 address into brackets, as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def split_address(address: str) -> tuple[str, str | None]:
    """Split ``HOST``, ``HOST:PORT``, ``[IPv6]`` or ``[IPv6]:PORT``; None: it names no port."""
    if address.startswith("["):
        host, closed, rest = address[1:].partition("]")
        if closed and (not rest or rest.startswith(":")):
            return host, rest[1:] or None
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
        return host, port
    return address, None


def checked_host(host: str) -> str:
    """Check the name of a computer or its address; one of IPv6 is written without brackets."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if ":" in host:
        with suppress(ValueError):
            return str(ipaddress.IPv6Address(host))
    try:
        is_name = bool(host.encode("idna"))  # as it is looked up: no part is empty or too long
    except UnicodeError:
        is_name = False
    if not is_name or any(not char.isprintable() or char in " /:@[]" for char in host):
        raise ValueError("must be a host name or an IPv4 or IPv6 address, such as 192.168.7.2")
    return host


def to_python(value: object) -> object:
    """Convert NumPy numbers and arrays to Python numbers and lists."""
    to_list = getattr(value, "tolist", None)
    return to_list() if callable(to_list) else value


def as_list(value: object) -> object:
    """Accept a single name or number as a list of one."""
    value = to_python(value)
    if isinstance(value, str | int | float):
        return [value]
    return [to_python(item) for item in value] if isinstance(value, list | tuple) else value


class FirstFaultOnly(FailFast):
    """Marks a list of which only the first fault is looked for."""

    def __hash__(self) -> int:
        """Be usable in an annotation, which Python keeps by its hash."""
        return hash(FirstFaultOnly)


def at_most(count: int) -> Callable[[object], object]:
    """Make a validator that refuses lists and tables of more items, before they are walked."""

    def check(value: object) -> object:
        if isinstance(value, Sized) and not isinstance(value, str) and len(value) > count:
            raise ValueError(f"must have at most {count} items, not {len(value)}")
        return value

    return check


def not_empty(items: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse an empty list."""
    if not items:
        raise ValueError("must have at least 1 item")
    return items


def refuse_bool(value: object) -> object:
    """Refuse a boolean where a number is expected."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")
    return value


def checked_name(name: str) -> str:
    """Check the name of a variable: printable characters, not only blanks."""
    if not name.strip():
        raise ValueError("must be a name, not empty")
    if len(name) > MAX_NAME_CHARS:
        raise ValueError(f"must be a name of at most {MAX_NAME_CHARS} characters")
    if not name.isprintable():
        raise ValueError("must be a name without control characters")
    return name


def checked_stream_name(name: str) -> str:
    """Refuse quotes in what LSL is to find a stream by."""
    if "'" in name or '"' in name:
        raise ValueError("must not contain quotes: LSL could not find such a stream")
    return name


def checked_filename(name: str) -> str:
    """Check the name of a file: one that every system on which it is opened allows."""
    if not name.strip(". ") or not name.isprintable() or _NOT_IN_FILENAMES & set(name):
        raise ValueError("must be a plain file name, without any folder")
    if len(name.encode("utf-8")) > MAX_FILENAME_BYTES:
        raise ValueError(f"must be a file name of at most {MAX_FILENAME_BYTES} bytes")
    if name.partition(".")[0].strip().casefold() in _RESERVED:
        raise ValueError("must be a file name that is no device of Windows")
    return name


def checked_folder(folder: Path) -> Path:
    """Refuse a folder with a control character, as a tab is that was meant to begin a name."""
    if not all(char.isprintable() for char in str(folder)):
        raise ValueError(f"must have no control characters; {_BACKSLASH_ADVICE}")
    return folder


def checked_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names something twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"must name each variable once, but {shown(twice[0])} stands there twice")
    return names


Name = Annotated[str, AfterValidator(checked_name)]
"""Name of a variable or a stream."""

StreamName = Annotated[Name, AfterValidator(checked_stream_name)]
"""Name of an LSL stream."""

Names = Annotated[
    tuple[Name, ...],
    FirstFaultOnly(),
    AfterValidator(checked_names),
    BeforeValidator(as_list),
    BeforeValidator(at_most(MAX_NAMES)),
]
"""Names, each once; a name alone stands for a list of one."""

Group = Literal["auto", "none", "all"]
"""Whether variables share streams: many of them, none, or any number."""

Wait = Annotated[float, Field(ge=0), BeforeValidator(refuse_bool), BeforeValidator(to_python)]
"""How long to wait at most, in seconds; infinity is allowed."""


def describe_toml_error(error: Exception) -> str:
    """Say why a file cannot be read as TOML, and what to do."""
    if isinstance(error, UnicodeDecodeError):
        return f"save it as UTF-8: {error}"
    is_escape = "\\" in str(error) or "hex value" in str(error)
    return f"{error}; {_BACKSLASH_ADVICE}" if is_escape else f"{error}"


def describe_errors(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Describe each validation error in a line for users.

    Parameters
    ----------
    error : pydantic.ValidationError
        What was raised.
    model : type of pydantic.BaseModel
        The model that raised it: it knows which keys are allowed.

    Returns
    -------
    list of str
        One line for each of the first errors, in the order found: ``key = value: what is
        allowed``; the last one says how many more there are.
    """
    found = error.errors(include_url=False)
    lines = [_describe(details, model) for details in found[:_MAX_DESCRIBED]]
    if len(found) > _MAX_DESCRIBED:
        lines.append(f"and {len(found) - _MAX_DESCRIBED} more errors")
    return lines


def _describe(details: Any, model: type[BaseModel]) -> str:
    path: tuple[int | str, ...] = details["loc"]
    kind: str = details["type"]
    where = ".".join(shown(str(part))[1:-1] for part in path if part != "[key]")
    if kind == "extra_forbidden":
        return f"{where}: unknown key; {_allowed_keys(str(path[-1]), _at(model, path[:-1]))}"
    if kind == "missing":
        return f"{where}: is required and missing"
    rule = _RULES.get(kind, "").format(**details.get("ctx", {})) or _rule(str(details["msg"]))
    # A rule that concerns several keys has no value of its own to show.
    given = "" if isinstance(details["input"], dict) else f" = {shown(details['input'])}"
    return f"{where}{given}: {rule}" if where else rule


def _rule(message: str) -> str:
    """Rephrase a message of pydantic in the style of our own."""
    if message.startswith("Input should "):
        return f"must {message.removeprefix('Input should ')}"
    return message.removeprefix("Value error, ")


def _allowed_keys(unknown: str, model: type[BaseModel] | None) -> str:
    keys = list(model.model_fields) if model is not None else []
    if not keys:
        return "none is allowed here"
    near = difflib.get_close_matches(unknown[:MAX_NAME_CHARS], keys, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}allowed: {', '.join(keys)}"


def _at(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model that a path of keys leads to."""
    at: type[BaseModel] | None = model
    for part in path:
        field = at.model_fields.get(str(part)) if at is not None else None
        # A key below a table of free names ([streams.NAME]) is the name: stay at its model.
        at = _model_in(field.annotation) if field is not None else at
    return at


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
