"""``dp-bela list``: the board's variables, as a table or as JSON.

It asks once and leaves the board as it is: nothing is watched, ended or restarted, and no LSL
stream appears, so that it may run beside a module that streams.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bela_module.cli.board_options import add_board_options, settings_of, simulated_board
from bela_module.errors import BelaError
from bela_module.server.process_io import guarded_output, print_out, report_error

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from rich.console import RenderableType


def main(arguments: Sequence[str]) -> int:
    """Print the board's variables; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_of(options)
    except BelaError as error:
        return report_error(error, 2)
    try:
        with simulated_board(options) as simulated:
            host, port = settings.board.host, settings.board.port
            if simulated is not None:
                host, port = simulated.start()
            listing = _ask(host, port, settings.board.reply_timeout_s)
        if options.json:
            print_out(json.dumps(listing))
        else:
            _print_table(listing)
    except BelaError as error:
        return report_error(error, 1)
    return 0


def _ask(host: str, port: int, reply_timeout_s: float) -> dict[str, Any]:
    """Ask a board for its variables over a connection of its own."""
    import asyncio
    import time

    from bela_module.connection.board_client import BoardClient
    from bela_module.session.jobs.listing import describe_variables

    async def ask() -> dict[str, Any]:
        client = await BoardClient.connect(
            host,
            port,
            now=time.perf_counter,
            reply_timeout_s=reply_timeout_s,
            on_data=lambda _message, _arrived_s: None,
        )
        try:
            listed = (await client.list()).variable_list
            return describe_variables(
                client.project, listed.sample_rate_hz, listed.tick, listed.variables
            )
        finally:
            await client.close()

    return asyncio.run(ask())


def _print_table(listing: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    with guarded_output():
        console.print(
            f"{listing['project']}: {len(listing['variables'])} variables, "
            f"{listing['sample_rate_hz']:g} Hz declared, tick {listing['tick']}",
            highlight=False,
            markup=False,
        )
        console.print(variable_table(listing["variables"]))


def variable_table(variables: Sequence[dict[str, Any]]) -> RenderableType:
    """Draw the variables of a LIST reply as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("variable", "type", "mode"):
        table.add_column(column)
    table.add_column("value", justify="right")
    table.add_column("in use")
    for variable in variables:
        table.add_row(
            Text(variable["name"]),  # whatever is in it is no markup
            variable["type"],
            variable["mode"],
            _shown_value(variable["value"]),
            ", ".join(_uses(variable)),
        )
    return table


def _shown_value(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.6g}"


def _uses(variable: dict[str, Any]) -> list[str]:
    uses = [use for use in ("watched", "controlled", "logged") if variable[use]]
    if variable["monitor_period_ticks"]:
        uses.append(f"monitored every {variable['monitor_period_ticks']} ticks")
    return uses


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dp-bela list",
        description="Show the board's variables. The board and its streams are left as they are.",
    )
    add_board_options(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object, no table")
    return parser
