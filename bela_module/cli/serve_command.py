"""``dp-bela serve``: the PCOMM server alone, as ``python -m api.server`` runs it."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Serve PCOMMs until ``CLOSE`` or a signal; return the exit status."""
    from bela_module.server.launch import main as serve

    return serve(arguments, "dp-bela serve")
