"""``dp-bela view``: a live page in the browser, of a module that runs or of one of its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bela_module.cli.board_options import add_board_options, settings_of, simulated_board
from bela_module.cli.time_limits import SESSION_CLOSE_S, VIEW_ASK_S
from bela_module.errors import BelaError, LibraryError, ModuleError
from bela_module.server.process_io import end_on_signals, print_err, print_out, report_error

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from bela_module.config import Settings


def main(arguments: Sequence[str]) -> int:
    """Serve the page until it is ended; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_of(options)
    except BelaError as error:
        return report_error(error, 2)
    import asyncio

    try:
        from bela_module.viewing.bokeh_extra import require_bokeh

        require_bokeh()
        with _module(options, settings) as (host, port):
            asyncio.run(_serve(options, host, port))
    except BelaError as error:
        return report_error(error, 1)
    return 0


async def _serve(options: argparse.Namespace, host: str, port: int) -> None:
    import asyncio
    import threading
    import webbrowser

    from bela_module.viewing.page_server import PageOptions, is_loopback, serve_pages

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    end_on_signals(lambda: loop.call_soon_threadsafe(ended.set))
    if not is_loopback(options.ip):
        what = "see the signals and command the board" if options.control else "see the signals"
        print_err(f"warning: everybody who reaches {options.ip} can {what}")

    def tell(url: str) -> None:
        print_out(f"the live page is at {url} (Ctrl-C ends it)")
        if not options.no_browser:
            # It may wait for the browser to end, one of a terminal for instance.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    page = PageOptions(options.ip, options.port, host, port, options.control)
    await serve_pages(page, ended, tell)


@contextmanager
def _module(options: argparse.Namespace, settings: Settings) -> Iterator[tuple[str, int]]:
    """Give the address of a module: of one that runs already, else of one of its own."""
    from bela_module.server.process_limits import raise_descriptor_limit
    from bela_module.viewing.page_server import is_loopback

    raise_descriptor_limit()
    host, port = settings.server.ip, settings.server.port
    named = options.module is not None
    if named:
        host, port = options.module
    runs_simulation = options.simulate or options.replay is not None
    status = None if runs_simulation and not named else _status_of(host, port)
    if status is None and named:
        raise ModuleError(f"no dp-bela answers at {host}:{port}; start it, or leave --module away")
    if status is not None and (named or options.board is None or _same_board(status, settings)):
        try:
            from bela_module.streams.lsl.lsl_settings import prepare_lsl
        except (ImportError, OSError, RuntimeError) as error:  # pylsl raises any of them
            raise LibraryError(f"{error}") from error
        # Its streams are on this computer, too, whatever computers they are meant for.
        prepare_lsl(this_machine_only=is_loopback(host))
        print_err(f"attached to the dp-bela at {host}:{port}")
        yield host, port
    else:
        with _own_module(options, settings, is_free=status is None) as address:
            yield address


@contextmanager
def _own_module(
    options: argparse.Namespace, settings: Settings, *, is_free: bool
) -> Iterator[tuple[str, int]]:
    """Run a module in this process, which streams at once."""
    import threading

    from bela_module.config import with_overrides
    from bela_module.requests import StartRequest
    from bela_module.server.composition import compose_module

    if not is_free or options.simulate or options.replay:
        settings = with_overrides(settings, server={"port": 0})
    with simulated_board(options) as simulated:
        replay = simulated.replay if simulated is not None else None
        with compose_module(
            settings,
            start_simulation=simulated.start if simulated is not None else None,
            follows_ticks=replay is None,
            session_close_s=SESSION_CLOSE_S,
        ) as server:
            server.init_server()
            session = server.open_session()
            thread = threading.Thread(
                target=server.start_listening, name="pcomm-server", daemon=True
            )
            thread.start()
            request = StartRequest()
            if replay is not None and replay.watched:
                request = StartRequest.model_construct(variables=replay.watched)
            session.start(request)
            yield server.ip, server.port
        thread.join(SESSION_CLOSE_S)


def _status_of(host: str, port: int) -> dict[str, Any] | None:
    """Ask for the STATUS of a module that may run there."""
    import asyncio

    from bela_module.viewing.module_client import ModuleClient

    async def ask() -> dict[str, Any] | None:
        client = ModuleClient(host, port)
        try:
            async with asyncio.timeout(VIEW_ASK_S):
                status = await client.query("STATUS")
        except (ModuleError, TimeoutError):  # nobody listens, or not a dp-bela
            return None
        finally:
            await client.close()
        return status if status.get("module") == "dp-bela" else None

    return asyncio.run(ask()) if port != 0 else None


def _same_board(status: dict[str, Any], settings: Settings) -> bool:
    return bool(status["board"]["url"] == settings.board.url)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dp-bela view",
        description="A live page in the browser: signals, state, losses and clock of a module "
        "that runs already, else of one of its own.",
        epilog="it needs the extra view: pip install 'dp-bela[view]'",
    )
    add_board_options(parser)
    parser.add_argument(
        "--module",
        metavar="HOST:PORT",
        type=_address,
        help="where a module serves its PCOMMs (the config, 127.0.0.1:8080)",
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="allow START, STOP, PREPARE, CHECK, SET and RELEASE on the page",
    )
    parser.add_argument("--ip", metavar="ADDR", default="127.0.0.1", help="serves the page there")
    parser.add_argument(
        "--port", metavar="N", type=_port, help="its port (5006, or a free one); 0 takes a free one"
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    return parser


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to 65535")
    return value


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), _port(port)
