"""Files for the streams of a START that saves, opened without waiting for a disk that hangs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

from bela_module.errors import RequestError
from bela_module.recording.file_recorder import FileRecorder
from bela_module.recording.recording_files import file_name_of
from bela_module.recording.recording_sink import RecordingSink
from bela_module.requests import StartRequest, saving_folder
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import FILES_OPEN_S
from bela_module.streams.sink import Sink
from bela_module.streams.sink_tee import SinkTee
from bela_module.streams.stream_plans import StreamPlan

logger = logging.getLogger(__name__)


async def open_recording(
    runtime: Runtime, request: StartRequest, plans: Sequence[StreamPlan]
) -> Sink:
    """Open the files of a START and give the sink that feeds them beside the session's own."""
    settings = runtime.settings.recording
    filename = request.saving_filename or file_name_of(runtime.board.project)
    recording = runtime.running.recording or RecordingSink()
    recorder = await _in_time(
        lambda: recording.make(
            plans,
            saving_folder(settings.dir, request.saving_dir),  # which looks at the disk, too
            filename,
            settings.format,
            runtime.note_failure_from_thread,
        )
    )
    recording.start(recorder)
    runtime.running.recording = recording
    logger.info("saving to %s", ", ".join(str(path) for path in recorder.paths.values()))
    return SinkTee(runtime.sink, recording)


async def _in_time(make_files: Callable[[], FileRecorder]) -> FileRecorder:
    """Have files made by a thread that nobody has to wait for: a disk may hang.

    Files that come too late are of no use to anybody, and go.
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Future[FileRecorder] = loop.create_future()

    def settle(recorder: FileRecorder | None, error: Exception | None) -> None:
        if made.done():
            if recorder is not None:
                recorder.discard()
        elif recorder is not None:
            made.set_result(recorder)
        elif error is not None:
            made.set_exception(error)

    def work() -> None:
        recorder, failure = None, None
        try:
            recorder = make_files()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            failure = error
        try:
            loop.call_soon_threadsafe(settle, recorder, failure)
        except RuntimeError:  # the loop has ended meanwhile
            if recorder is not None:
                recorder.discard()

    threading.Thread(target=work, name="bela-files", daemon=True).start()
    try:
        async with asyncio.timeout(FILES_OPEN_S):
            return await made
    except TimeoutError:
        if not made.cancelled() and made.exception() is None:  # in the very last moment
            made.result().discard()
        raise RequestError(
            f"the disk did not open the files in {FILES_OPEN_S} s: save elsewhere"
        ) from None
