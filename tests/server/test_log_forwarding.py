"""Logging never waits, arrives at Dareplane's log server, and survives its configuration."""

from __future__ import annotations

import logging
import logging.config
import socket
import threading
import time
from collections.abc import Callable

import pytest
from dareplane_utils.logging.logger import default_dareplane_config
from dareplane_utils.logging.server import LogRecordStreamHandler

from bela_module.server.log_forwarding import (
    BackgroundHandler,
    LogPipes,
    revive_loggers,
    start_logging,
)
from tests.support.log_server import LogServer

WaitUntil = Callable[..., None]
OURS = ("bela_module.test_logs", "bela_module.server.test_logs")


def test_records_of_all_our_loggers_arrive(log_server: LogServer, wait_until: WaitUntil) -> None:
    pipes = start_logging("DEBUG", port=log_server.port, console=False)
    for name in OURS:
        logging.getLogger(name).debug("value %d of %s", 3, "pot1")
    try:
        raise ZeroDivisionError("inside")
    except ZeroDivisionError:
        logging.getLogger(OURS[0]).exception("it failed")
    wait_until(lambda: len(log_server.records) == 3)
    pipes.close()
    assert [record["name"] for record in log_server.records] == ["dp-bela"] * 3
    assert log_server.records[0]["msg"] == "value 3 of pot1"
    assert "ZeroDivisionError: inside" in str(log_server.records[2]["msg"])


def test_the_platforms_receiver_handles_what_we_send(
    log_server: LogServer, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    pipes = start_logging("INFO", port=log_server.port, console=False)
    logging.getLogger(OURS[1]).warning("refused %s", "START|{%s %d} \N{SNOWMAN}")
    wait_until(lambda: log_server.records)
    pipes.close()
    # What its handle() does with each record, without its process-wide configuration.
    record = logging.makeLogRecord(log_server.records[0])
    handler = LogRecordStreamHandler.__new__(LogRecordStreamHandler)
    message = str(record.msg)
    assert "%s" not in message  # it would be taken for a place holder there
    assert record.getMessage() == message == "refused START|{% s %d} \N{SNOWMAN}"
    handler.server = type("Server", (), {"logname": "received"})()
    with caplog.at_level(logging.INFO, logger="received"):
        handler.handle_log_record(record)
    assert "refused START" in caplog.text


def test_the_console_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    pipes = start_logging("INFO", port=free_port())
    logging.getLogger(OURS[0]).info("hello")
    logging.getLogger(OURS[0]).debug("whisper")
    logging.getLogger("websockets").warning("from a library")
    pipes.close(timeout_s=10)
    shown = capsys.readouterr().err
    assert "bela_module.test_logs - INFO - hello" in shown
    assert "from a library" in shown
    assert "whisper" not in shown


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_hanging_log_server_delays_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # accepts and never reads
        hanging.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pipes = start_logging("INFO", port=hanging.getsockname()[1])
        logger = logging.getLogger(OURS[0])
        durations_s = []
        for number in range(3000):
            began_s = time.perf_counter()
            logger.info("%d %s", number, "x" * 10_000)
            durations_s.append(time.perf_counter() - began_s)
        # The socket's time-out is 1 s, for every record that would wait for it.
        assert sorted(durations_s)[int(0.99 * len(durations_s))] < 0.05
        assert sum(durations_s) < 10
        assert pipes.handlers[0].dropped > 0
        assert pipes.dropped >= pipes.handlers[0].dropped
        pipes.close()
    assert "bela_module.test_logs - INFO - 0 xxx" in capsys.readouterr().err


class Blocking(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.go_on.wait(20)
        self.messages.append(record.getMessage())


def test_what_is_dropped_is_told() -> None:
    target = Blocking()
    handler = BackgroundHandler(target, max_waiting=3)
    for number in range(10):
        handler.handle(
            logging.LogRecord("bela_module.x", logging.INFO, "", 0, "%d", (number,), None)
        )
    dropped = handler.dropped
    assert dropped >= 6
    target.go_on.set()
    handler.stop(20)
    assert f"{dropped} log records were dropped" in target.messages
    assert len(target.messages) == 10 - dropped + 1


def test_stopping_does_not_wait_for_a_hanging_target() -> None:
    target = Blocking()
    handler = BackgroundHandler(target, max_waiting=1)
    for _ in range(3):
        handler.handle(logging.LogRecord("bela_module.x", logging.INFO, "", 0, "x", (), None))
    began_s = time.monotonic()
    handler.stop(0.05)
    assert time.monotonic() - began_s < 10
    target.go_on.set()


def test_loggers_made_before_live_on() -> None:
    early = logging.getLogger("bela_module.test_logs.early")
    foreign = logging.getLogger("foreign.test_logs.early")
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logging.config.dictConfig(default_dareplane_config)
    try:
        assert early.disabled
        revive_loggers()
        assert not early.disabled
        assert foreign.disabled
    finally:
        for handler in root.handlers[:]:
            handler.close()
        root.handlers, level = before[0], before[1]
        root.setLevel(level)
        foreign.disabled = False


def test_closing_restores_what_was() -> None:
    root, ours = logging.getLogger(), logging.getLogger("bela_module")
    start_logging(port=free_port(), console=False).close()  # the platform configures itself once
    before = [(one.handlers[:], one.level, one.propagate) for one in (root, ours)]
    pipes = start_logging("DEBUG", port=free_port(), console=False)
    assert isinstance(pipes, LogPipes)
    assert root.handlers == ours.handlers == pipes.handlers
    pipes.close()
    pipes.close()
    assert [(one.handlers[:], one.level, one.propagate) for one in (root, ours)] == before


def test_our_logger_is_left_as_it_was_found() -> None:
    ours = logging.getLogger("bela_module")
    before = ours.handlers[:], ours.level, ours.propagate
    start_logging("DEBUG", port=free_port(), console=False).close()
    assert (ours.handlers, ours.level, ours.propagate) == before
