"""A client that knows nothing but websockets, to look at a board from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bela_module.protocol.control_channel import VariableList, parse_control_message
from bela_module.protocol.control_commands import (
    CONNECTION_REPLY,
    Json,
    encode_commands,
    list_command,
)
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder

TIMEOUT_S = 20.0


class RawClient:
    """Both channels of a connection to a board."""

    def __init__(self, control: ClientConnection, data: ClientConnection) -> None:
        self.control = control
        self.data = data
        self.decoder = DataDecoder()

    def tell(self, *commands: Json) -> None:
        """Send commands."""
        for text in encode_commands(commands):
            self.control.send(text)

    def hear(self) -> str:
        """Return the next message of the control channel."""
        message = self.control.recv(timeout=TIMEOUT_S)
        assert isinstance(message, str)
        return message

    def list(self) -> VariableList:
        """Ask for the variables."""
        self.tell(list_command())
        while True:
            reply = parse_control_message(self.hear())
            if isinstance(reply, VariableList):
                self.decoder.describe(reply.variables)
                return reply

    def block(self) -> Block:
        """Return the next block."""
        while True:
            block = self.decoder.receive(self.data.recv(timeout=TIMEOUT_S))
            if isinstance(block, Block):
                return block

    def blocks(self, count: int) -> list[Block]:
        """Return the next blocks."""
        return [self.block() for _ in range(count)]


def open_channel(url: str, channel: str, **options: Any) -> ClientConnection:
    """Connect to one of a board's channels."""
    # The board closes TCP instead of answering a close frame: no reason to wait long for that.
    return connect(
        f"{url}/gui_{channel}",
        compression=None,
        ping_interval=None,
        close_timeout=1.0,
        open_timeout=options.pop("open_timeout", TIMEOUT_S),
        **options,
    )


@contextmanager
def raw_client(url: str, *, reply: bool = True) -> Iterator[RawClient]:
    """Connect both channels, take the connection event, and answer it."""
    with open_channel(url, "data") as data, open_channel(url, "control") as control:
        client = RawClient(control, data)
        assert '"connection"' in client.hear()
        if reply:
            control.send(CONNECTION_REPLY)
            client.list()
        yield client
