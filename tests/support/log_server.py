"""A log server: receives records as Dareplane's does."""

from __future__ import annotations

import json
import socket
import struct
import threading


class LogServer:
    """Receives records as Dareplane's log server does, by its wire format."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.records: list[dict[str, object]] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection, connection.makefile("rb") as stream:
            while length := stream.read(4):
                self.records.append(json.loads(stream.read(struct.unpack(">L", length)[0])))

    def close(self) -> None:
        self._thread.join(20)
        self.socket.close()
