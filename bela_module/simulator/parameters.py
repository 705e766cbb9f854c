"""Parameters of what goes wrong on the simulated board: what each may be is said beside it. Pure.

A parameter is a field of a frozen dataclass. Its annotation says what it may be and what it means,
as in ``p: Annotated[float, Number(0, 1), "probability for each message"]``; a ``Literal``, a
``bool`` or a ``str`` alone says so already. The check of a value, the reading of text and the help
all come from there.
"""

from __future__ import annotations

import dataclasses
import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, get_args, get_origin, get_type_hints

from bela_module.errors import RequestError
from bela_module.validation import shown

DAY_S: Final = 86_400.0


class Rule(ABC):
    """What a parameter may be; as text, it completes the sentence *it must be ...*."""

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Whether it may be this."""

    @abstractmethod
    def read(self, text: str) -> Any:
        """Read a value from text; ``ValueError`` when that is impossible."""

    @abstractmethod
    def __str__(self) -> str:
        """Say what is allowed."""


@dataclass(frozen=True, slots=True)
class Number(Rule):
    """A number from ``low`` to ``high``, both included, or 0 if ``or_zero``."""

    low: float
    high: float
    unit: str = ""
    or_zero: bool = False

    _kind: ClassVar[type] = numbers.Real
    _words: ClassVar[str] = ""

    def allows(self, value: Any) -> bool:
        """Whether it is a number within the range, which NaN never is."""
        is_number = isinstance(value, self._kind) and not isinstance(value, bool)
        return is_number and bool(self.low <= value <= self.high or (self.or_zero and value == 0))

    def read(self, text: str) -> float:
        """Read it as Python does."""
        return float(text)

    def __str__(self) -> str:
        """Give the range with its unit."""
        zero = "0, or " if self.or_zero else ""
        return f"{zero}{self._words}{self.low:.15g} to {self.high:.15g} {self.unit}".rstrip()


class Whole(Number):
    """A whole number from ``low`` to ``high``, both included."""

    _kind = numbers.Integral
    _words = "a whole number, "

    def read(self, text: str) -> int:
        """Read it as Python does."""
        return int(text)


@dataclass(frozen=True, slots=True)
class Choice(Rule):
    """One of some texts."""

    choices: tuple[str, ...]

    def allows(self, value: object) -> bool:
        """Whether it is one of them."""
        return isinstance(value, str) and value in self.choices

    def read(self, text: str) -> str:
        """Take the text."""
        return text

    def __str__(self) -> str:
        """List them."""
        return "one of " + ", ".join(choice or "(empty)" for choice in self.choices)


class Flag(Rule):
    """Yes or no."""

    _WORDS: Final = {"true": True, "1": True, "false": False, "0": False}

    def allows(self, value: object) -> bool:
        """Whether it is a boolean."""
        return isinstance(value, bool)

    def read(self, text: str) -> bool:
        """Read the words of configuration files."""
        try:
            return self._WORDS[text.lower()]
        except KeyError:
            raise ValueError(text) from None

    def __str__(self) -> str:
        """Give the two words."""
        return "true or false"


class Text(Rule):
    """Any text."""

    def allows(self, value: object) -> bool:
        """Whether it is text."""
        return isinstance(value, str)

    def read(self, text: str) -> str:
        """Take the text."""
        return text

    def __str__(self) -> str:
        """Ask for text."""
        return "text"


class VariableName(Text):
    """Name of one variable of the sketch; empty for all."""

    def names(self, text: str) -> list[str]:
        """Give the names, none when all are meant."""
        return [text] if text else []

    def __str__(self) -> str:
        """Say what the names are."""
        return "a variable of the sketch, or empty for all"


class VariableNames(VariableName):
    """Names of variables of the sketch; empty for all."""

    def names(self, text: str) -> list[str]:
        """Take the names apart."""
        return text.split("+") if text else []

    def __str__(self) -> str:
        """Say what the names are."""
        return "variables of the sketch, joined by +, or empty for all"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field, with what its annotation says.

    Attributes
    ----------
    name : str
        Its name.
    default : object
        What it is if nothing is said.
    rule : Rule
        What it may be.
    meaning : str
        What it is, for people.
    """

    name: str
    default: Any
    rule: Rule
    meaning: str

    def check(self, value: object, owner: str) -> None:
        """Refuse a value that it may not have.

        Raises
        ------
        RequestError
            Names the parameter, its owner, the value, and what is allowed.
        """
        if not self.rule.allows(value):
            raise self._refusal(value, owner)

    def read(self, text: str, owner: str) -> Any:
        """Read a value from text; raises as :meth:`check` does."""
        try:
            value = self.rule.read(text)
        except ValueError:
            raise self._refusal(text, owner) from None
        self.check(value, owner)
        return value

    def _refusal(self, value: object, owner: str) -> RequestError:
        return RequestError(f"{self.name}={shown(value)} of {owner}: it must be {self.rule}")


def parameters_of(kind: type) -> dict[str, Parameter]:
    """Give the parameters of a dataclass by name, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: Parameter(field.name, field.default, *_said_by(hints[field.name]))
        for field in dataclasses.fields(kind)
    }


def check_parameters(thing: object, owner: str) -> None:
    """Refuse a value that a parameter of ``thing`` may not have; for ``__post_init__``.

    Raises
    ------
    RequestError
        Names the parameter, its owner, the value, and what is allowed.
    """
    for name, parameter in parameters_of(type(thing)).items():
        parameter.check(getattr(thing, name), owner)


def variables_named_by(thing: object) -> Iterator[str]:
    """Give the names of variables that the parameters of a thing hold."""
    for name, parameter in parameters_of(type(thing)).items():
        if isinstance(parameter.rule, VariableName):
            yield from parameter.rule.names(getattr(thing, name))


def _said_by(hint: Any) -> tuple[Rule, str]:
    """Read an annotation: what is allowed, and what it means."""
    said = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    plain = get_args(hint)[0] if said else hint
    meaning = next((item for item in said if isinstance(item, str)), "")
    rule = next((item for item in said if isinstance(item, Rule)), None)
    if rule is None and get_origin(plain) is Literal:
        rule = Choice(get_args(plain))
    if rule is None:
        rule = Flag() if plain is bool else Text()
    return rule, meaning
