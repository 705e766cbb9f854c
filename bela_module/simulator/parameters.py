"""Parameters declared as annotated dataclass fields: range checks, parsing of text, help. Pure.

An annotation holds the allowed values and the meaning, as in
``p: Annotated[float, NumberRange(0, 1), "probability for each message"]``; a ``Literal``, a
``bool`` or a ``str`` needs no rule of its own.
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
    """Allowed values of a parameter; as text, it completes the sentence *it must be ...*."""

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Whether a value is allowed."""

    @abstractmethod
    def read(self, text: str) -> Any:
        """Read a value from text; ``ValueError`` when that is impossible."""

    @abstractmethod
    def __str__(self) -> str:
        """Describe the allowed values."""


@dataclass(frozen=True, slots=True)
class NumberRange(Rule):
    """A number from ``low`` to ``high``, both included, or 0 if ``or_zero``."""

    low: float
    high: float
    unit: str = ""
    or_zero: bool = False

    _kind: ClassVar[type] = numbers.Real
    _words: ClassVar[str] = ""

    def allows(self, value: Any) -> bool:
        """Whether a value is a number within the range, which NaN never is."""
        is_number = isinstance(value, self._kind) and not isinstance(value, bool)
        return is_number and bool(self.low <= value <= self.high or (self.or_zero and value == 0))

    def read(self, text: str) -> float:
        """Read a float."""
        return float(text)

    def __str__(self) -> str:
        """Describe the range with its unit."""
        zero = "0, or " if self.or_zero else ""
        return f"{zero}{self._words}{self.low:.15g} to {self.high:.15g} {self.unit}".rstrip()


class WholeRange(NumberRange):
    """A whole number from ``low`` to ``high``, both included."""

    _kind = numbers.Integral
    _words = "a whole number, "

    def read(self, text: str) -> int:
        """Read an integer."""
        return int(text)


@dataclass(frozen=True, slots=True)
class Choice(Rule):
    """One of some texts."""

    choices: tuple[str, ...]

    def allows(self, value: object) -> bool:
        """Whether a value is one of the texts."""
        return isinstance(value, str) and value in self.choices

    def read(self, text: str) -> str:
        """Return the text as it is."""
        return text

    def __str__(self) -> str:
        """List the texts."""
        return "one of " + ", ".join(choice or "(empty)" for choice in self.choices)


class Flag(Rule):
    """True or false."""

    _WORDS: Final = {"true": True, "1": True, "false": False, "0": False}

    def allows(self, value: object) -> bool:
        """Whether a value is a boolean."""
        return isinstance(value, bool)

    def read(self, text: str) -> bool:
        """Read ``true``, ``false``, ``1`` or ``0``."""
        try:
            return self._WORDS[text.lower()]
        except KeyError:
            raise ValueError(text) from None

    def __str__(self) -> str:
        """Describe the allowed values."""
        return "true or false"


class Text(Rule):
    """Any text."""

    def allows(self, value: object) -> bool:
        """Whether a value is text."""
        return isinstance(value, str)

    def read(self, text: str) -> str:
        """Return the text as it is."""
        return text

    def __str__(self) -> str:
        """Describe the allowed values."""
        return "text"


class VariableName(Text):
    """Name of one variable of the sketch; empty for all."""

    def names(self, text: str) -> list[str]:
        """Return the variable names in a value; none means all."""
        return [text] if text else []

    def __str__(self) -> str:
        """Describe the allowed values."""
        return "a variable of the sketch, or empty for all"


class VariableNames(VariableName):
    """Names of variables of the sketch; empty for all."""

    def names(self, text: str) -> list[str]:
        """Split the names at ``+``; none means all."""
        return text.split("+") if text else []

    def __str__(self) -> str:
        """Describe the allowed values."""
        return "variables of the sketch, joined by +, or empty for all"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A dataclass field with the rule and the meaning from its annotation."""

    name: str
    default: Any
    rule: Rule
    meaning: str

    def check(self, value: object, owner: str) -> None:
        """Raise RequestError for a value that is not allowed; ``owner`` is named in it."""
        if not self.rule.allows(value):
            raise self._refusal(value, owner)

    def read(self, text: str, owner: str) -> Any:
        """Read and check a value from text."""
        try:
            value = self.rule.read(text)
        except ValueError:
            raise self._refusal(text, owner) from None
        self.check(value, owner)
        return value

    def _refusal(self, value: object, owner: str) -> RequestError:
        return RequestError(f"{self.name}={shown(value)} of {owner}: it must be {self.rule}")


def parameters_of(kind: type) -> dict[str, Parameter]:
    """Return the parameters of a dataclass by name, in the order of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: Parameter(field.name, field.default, *_rule_and_meaning(hints[field.name]))
        for field in dataclasses.fields(kind)
    }


def check_parameters(instance: object, owner: str) -> None:
    """Check all parameters of a dataclass instance; for its ``__post_init__``.

    Raises
    ------
    RequestError
        Names the parameter, its owner, the value, and what is allowed.
    """
    for name, parameter in parameters_of(type(instance)).items():
        parameter.check(getattr(instance, name), owner)


def variables_named_by(instance: object) -> Iterator[str]:
    """Yield the variable names in the parameters of a dataclass instance."""
    for name, parameter in parameters_of(type(instance)).items():
        if isinstance(parameter.rule, VariableName):
            yield from parameter.rule.names(getattr(instance, name))


def _rule_and_meaning(hint: Any) -> tuple[Rule, str]:
    """Read an annotation: the allowed values, and the meaning."""
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    plain = get_args(hint)[0] if extras else hint
    meaning = next((item for item in extras if isinstance(item, str)), "")
    rule = next((item for item in extras if isinstance(item, Rule)), None)
    if rule is None and get_origin(plain) is Literal:
        rule = Choice(get_args(plain))
    if rule is None:
        rule = Flag() if plain is bool else Text()
    return rule, meaning
