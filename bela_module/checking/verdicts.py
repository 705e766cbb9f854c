"""The result of a check: a verdict, what was measured, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """How one check ended."""

    OK = "ok"
    WARN = "warn"
    """It works, but something should be known or mended."""
    FAIL = "fail"
    """An experiment would not get what it asks for."""


_ORDER: Final = (Verdict.OK, Verdict.WARN, Verdict.FAIL)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; OK for none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.OK)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the result."""

    name: str
    """What was looked at, in a word or two; stays the same from one run to the next."""
    verdict: Verdict
    measured: str
    """The figure or fact that the verdict rests on."""
    advice: str = ""
    """What to do; empty when nothing is to be done."""

    def as_json(self) -> dict[str, str]:
        """Return it as ``--json`` and STATUS show it."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "measured": self.measured,
            "advice": self.advice,
        }

    def as_line(self) -> str:
        """Return it as one line of a log."""
        advice = f" -> {self.advice}" if self.advice else ""
        return f"{self.verdict.value.upper():4} {self.name}: {self.measured}{advice}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All lines of one check."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all lines."""
        return worst(check.verdict for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` and STATUS show it."""
        return {
            "verdict": self.verdict.value,
            "checks": [check.as_json() for check in self.checks],
        }

    def summary(self) -> str:
        """Say in a sentence how it went."""
        n_warn = sum(check.verdict is Verdict.WARN for check in self.checks)
        n_fail = sum(check.verdict is Verdict.FAIL for check in self.checks)
        if n_fail:
            more = f", {n_warn} warned" if n_warn else ""
            return f"not ready: {n_fail} of {len(self.checks)} checks failed{more}"
        if n_warn:
            return f"ready, with {n_warn} of {len(self.checks)} checks to be looked at"
        return f"ready: all {len(self.checks)} checks are fine"
