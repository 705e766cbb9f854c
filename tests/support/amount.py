"""How much of the long tests runs: what the suite has time for, or all of it.

With ``BELA_TESTS=thorough`` all of it: each case with each seed, more examples of each property,
each fault at each moment. ``benchmarks/robustness.py`` runs the faults, walks and fuzz alone, with
amounts of their own, and writes the table of ``docs/robustness.md``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")

THOROUGH = os.environ.get("BELA_TESTS", "") == "thorough"

WHOLE_MATRIX = THOROUGH or os.environ.get("BELA_MATRIX", "") == "whole"
"""Each fault at each moment, instead of each fault once."""

N_WALKS = int(os.environ.get("BELA_WALKS", "200" if THOROUGH else "12"))
"""Random walks over commands and faults."""

N_FUZZED = int(os.environ.get("BELA_FUZZ_MESSAGES", "300000" if THOROUGH else "45000"))
"""Mutated messages through the decoders; the other fuzz tests take a share of it."""


def examples(n: int) -> int:
    """Give how many examples of a property to try: 60 % of so many, or twenty times as many."""
    return 20 * n if THOROUGH else round(0.6 * n)


def one_or_all(choices: Sequence[T], case: str) -> Sequence[T]:
    """Give one of several variants of a case, always the same and not that of each case; or all.

    Parameters
    ----------
    choices : sequence
        Seeds, for instance.
    case : str
        What tells this case from others.
    """
    return choices if THOROUGH else [choices[crc32(case.encode()) % len(choices)]]
