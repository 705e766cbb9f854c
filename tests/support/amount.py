"""How much of the long tests runs: what the suite has time for, or all of it.

``benchmarks/robustness.py`` runs all of it, and writes the table of ``docs/robustness.md``.
"""

from __future__ import annotations

import os

WHOLE_MATRIX = os.environ.get("BELA_MATRIX", "") == "whole"
"""Each fault at each moment, instead of each fault once."""

N_WALKS = int(os.environ.get("BELA_WALKS", "24"))
"""Random walks over commands and faults."""

N_FUZZED = int(os.environ.get("BELA_FUZZ_MESSAGES", "45000"))
"""Mutated messages through the decoders; the other fuzz tests take a share of it."""
