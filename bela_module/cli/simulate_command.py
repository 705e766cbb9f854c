"""``dp-bela simulate``: a simulated board, as ``python -m bela_module.simulator`` runs it."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run a simulated board until a signal ends it; return the exit status."""
    from bela_module.simulator.__main__ import main as simulate

    return simulate(arguments, "dp-bela simulate")
