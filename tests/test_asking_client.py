"""The name of the client whose command is carried out reaches the event loop of the session."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from bela_module.asking_client import asked_by, asking_client


def test_a_loop_in_another_thread_knows_who_asks() -> None:
    async def name() -> str:
        await asyncio.sleep(0)
        return asking_client()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with asked_by("10.0.0.1:5000"):
            inside: Future[str] = asyncio.run_coroutine_threadsafe(name(), loop)
        outside: Future[str] = asyncio.run_coroutine_threadsafe(name(), loop)
        assert inside.result(20) == "10.0.0.1:5000"
        assert outside.result(20) == ""
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
