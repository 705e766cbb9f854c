"""Runs a recording: prepare, have LabRecorder listen, start, watch, stop, and let it catch up.

The order is what makes the file complete: the outlets are there before LabRecorder looks, it takes
samples before the first one is streamed, and it is ended only when it has fetched the last one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from bela_module.checking.computer_probe import names_in_use
from bela_module.config import Settings
from bela_module.errors import BelaError, BoardError, RecordingError, RequestError
from bela_module.lab_recording.counted_outlets import CountedOutlets
from bela_module.lab_recording.disk_room import DiskRoom
from bela_module.lab_recording.growing_file import GrowingXdf
from bela_module.lab_recording.kept_file import KeptFile
from bela_module.lab_recording.other_programs import streamed_by_others
from bela_module.lab_recording.recorder_process import RecorderProcess, xpath_text
from bela_module.lab_recording.recording_order import (
    RecordingObserver,
    RecordingOrder,
    RecordingOutcome,
    RecordingProgress,
    RecordingStage,
    Status,
)
from bela_module.lab_recording.time_limits import (
    BOARD_CONNECT_S,
    CATCH_UP_S,
    IDENTITY_SEARCH_S,
    LAST_FETCH_S,
    LOOK_PERIOD_S,
    PREPARE_S,
    PROGRESS_PERIOD_S,
    RECORDER_START_S,
    RECORDER_STOP_S,
    SESSION_CLOSE_S,
    STREAMING_START_S,
    STREAMING_STOP_S,
    STUCK_FILE_S,
)
from bela_module.protocol.variables import Variable
from bela_module.requests import PrepareRequest, StartRequest
from bela_module.session.session import Session
from bela_module.streams.lsl_clock import local_clock
from bela_module.validation import named

T = TypeVar("T")

_MAX_LOOKS: Final = 5
_NOTHING_TO_END_S: Final = 0.5
_WRITER_BYTES: Final = 64 << 10  # LabRecorder's own buffer has 8 KiB


class RecordingRun:
    """One recording of a board's streams, and on request of all others in the lab.

    Parameters
    ----------
    settings : Settings
        Where the board is and how its streams are called.
    order : RecordingOrder
        What is to be recorded.
    observer : RecordingObserver
        Is told how it goes on.
    """

    def __init__(
        self, settings: Settings, order: RecordingOrder, observer: RecordingObserver
    ) -> None:
        self._settings = settings
        self._order = order
        self._observer = observer
        self._file = GrowingXdf(order.path)
        self._kept: KeptFile | None = None
        self._room = DiskRoom(order.path)
        self._outlets: CountedOutlets | None = None
        self._outcome = RecordingOutcome()
        self._told: set[str] = set()

    def run(self) -> RecordingOutcome:
        """Record until the time is over, or it is cancelled, or it cannot go on.

        Returns
        -------
        RecordingOutcome
            What has come of it. The file is ended, the board is left as it was found.

        Raises
        ------
        BelaError
            When nothing could be recorded; the file has no sample then.
        """
        session = Session(
            self._settings,
            sink=self._make_outlets,
            now=local_clock,
            obeys_ticks=self._order.follows_ticks,
        )
        session.open()
        try:
            self._prepare(session)
            with self._kept_file(), self._recorder(session) as recorder:
                self._begin(session)
                self._watch(session, recorder)
                self._observer.progress(self._progress(RecordingStage.FINISHING))
                self._stop(session)
                self._let_catch_up(recorder)
            self._outcome.status = session.status()
            self._outcome.later = self._since(self._outcome.streamed)
        finally:
            session.close(SESSION_CLOSE_S)
        return self._outcome

    def _make_outlets(self) -> CountedOutlets:
        streaming = self._settings.streaming
        self._outlets = CountedOutlets(streaming.events_stream, streaming.max_buffered_s)
        return self._outlets

    # ---- before the first sample ----------------------------------------------------------------

    def _prepare(self, session: Session) -> None:
        order = self._order
        self._observer.progress(RecordingProgress(RecordingStage.CONNECTING))
        if order.follows_ticks:  # a replay begins with what is asked for, and nobody else uses it
            self._connect(session)
            self._refuse_beside_others(session)
        self._observer.progress(RecordingProgress(RecordingStage.PREPARING))
        request = PrepareRequest.model_construct(variables=order.variables, group=order.group)
        self._wait_for(session.prepare(request), PREPARE_S, "open the streams")
        status = session.status()
        self._outcome.identity = self._identity(status)
        if problems := status["problems"]:
            raise RecordingError(f"not all streams could be opened: {'; '.join(problems)}")

    def _identity(self, status: Status) -> str:
        return f"bela:{self._settings.board.name}:{status['board']['project'] or ''}:"

    def _connect(self, session: Session) -> None:
        timeout_s = max(BOARD_CONNECT_S, 2 * self._settings.board.reply_timeout_s)
        until_s = time.monotonic() + timeout_s
        while not session.status()["board"]["connected"]:
            self._end_if_cancelled()
            try:
                self._wait_for(session.look(), timeout_s, "list its variables")
            except BoardError as error:
                if time.monotonic() > until_s:
                    raise RecordingError(f"nothing was recorded: {error}") from error
            time.sleep(LOOK_PERIOD_S)

    def _refuse_beside_others(self, session: Session) -> None:
        """Refuse a board that somebody else streams from: both would lose values."""
        if self._order.exclusive or self._settings.streaming.exclusive:
            # Opening streams of that identity would fail, when the other has lost values already.
            outlets, identity = self._outlets, self._identity(session.status())
            if outlets and (others := outlets.streams_of_others(identity, IDENTITY_SEARCH_S)):
                raise RequestError(
                    f"another module has streams of {self._settings.board.url} on the network "
                    f"({named(others)}): end it there (STOP and CLOSE), or record its streams with "
                    "LabRecorder; --exclusive is for what a crash has left"
                )
            return
        used = streamed_by_others(self._settings.board, partial(self._look, session))
        used |= dict.fromkeys(sorted(names_in_use(self._settings)))
        if used:
            raise RequestError(
                f"another program streams from {self._settings.board.url} already "
                f"({named(list(used))}): record its streams with LabRecorder, or end it there "
                "(STOP, or CLOSE of a module), or add --exclusive when it is only what a crash "
                "has left"
            )

    def _look(self, session: Session) -> Sequence[Variable]:
        return self._wait_for(session.look(), BOARD_CONNECT_S, "list the variables").variables

    @contextmanager
    def _kept_file(self) -> Iterator[None]:
        """Keep the file open; write it again at the end if its name is gone by then."""
        with KeptFile(self._order.path) as kept:
            self._kept = kept
            try:
                yield
            finally:
                self._kept = None
                if self._file.n_samples and kept.is_gone:
                    self._restore(kept)

    def _restore(self, kept: KeptFile) -> None:
        path = self._order.path
        try:
            restored = kept.restore()
        except RecordingError as error:
            self._outcome.note(str(error))
        else:
            if restored != path:
                self._outcome.restored = restored
                self._outcome.note(
                    f"{path} is another file by now: what was recorded is {restored}"
                )

    @contextmanager
    def _recorder(self, session: Session) -> Iterator[RecorderProcess]:
        """Have LabRecorder take samples; end the file when all is done."""
        recorder = self._start_recorder(session)
        try:
            yield recorder
        finally:
            if not recorder.stop():
                self._outcome.note(f"LabRecorder did not end properly: {_last_line(recorder)}")
            self._look_at_file()

    def _look_at_file(self) -> None:
        self._file.look(None if self._kept is None else self._kept.file)

    def _start_recorder(self, session: Session) -> RecorderProcess:
        order, streaming = self._order, self._settings.streaming
        names = [stream["name"] for stream in session.status()["streams"]]
        names += [name for name in (streaming.events_stream, streaming.clock_stream) if name]
        if any(one.echo is not None for one in self._settings.inputs.values()):
            names += [streaming.loop_stream] if streaming.loop_stream else []
        query = "true()" if order.whole_lab else self._own_streams()
        uids = self._uids()
        silent: dict[str, None] = {}  # streams of others that cannot be received
        for _ in range(_MAX_LOOKS):  # it looks for one second, in which a busy computer is late
            for name in silent:
                query += f" and not(name={xpath_text(name)})"
            recorder = RecorderProcess(order.program, order.path, query, order.lsl_settings)
            recorder.start()
            records = recorder.wait_until_it_records(RECORDER_START_S, self._observer.is_cancelled)
            missing = [name for name in names if not recorder.has_found(name)]
            if records and not missing:
                self._outcome.earlier = self._counts()
                self._outcome.uids = frozenset(uids | self._uids())
                return recorder
            silent = dict.fromkeys(name for name in recorder.delayed if name not in names)
            if silent:
                self._tell(
                    f"{named(list(silent))} cannot be received, as behind a firewall, and is not "
                    "recorded"
                )
            # It would wait for them without an end.
            is_wanted = not silent and not self._observer.is_cancelled()
            recorder.stop(RECORDER_STOP_S if is_wanted else _NOTHING_TO_END_S)
            self._end_if_cancelled()
        found = f"it does not see {named(missing)}" if missing else _last_line(recorder)
        raise RecordingError(
            f"LabRecorder does not record: {found}; look at lsl_api.cfg and at the firewall"
        )

    def _uids(self) -> set[str]:
        return self._outlets.uids if self._outlets is not None else set()

    def _own_streams(self) -> str:
        """Give the query for the streams of this process.

        Another module of the same board that does not stream has events of the same identity.
        """
        identity, events = self._outcome.identity, self._settings.streaming.events_stream
        query = f"starts-with(source_id,{xpath_text(identity)})"
        if (uid := self._outlets.events_uid if self._outlets is not None else None) is None:
            return query
        return f"{query} and not(source_id={xpath_text(identity + events)} and uid!='{uid}')"

    # ---- while it streams -----------------------------------------------------------------------

    def _begin(self, session: Session) -> None:
        order = self._order
        request = StartRequest.model_construct(exclusive=order.exclusive)
        self._wait_for(session.start(request), STREAMING_START_S, "begin the streams")

    def _watch(self, session: Session, recorder: RecorderProcess) -> None:
        """Follow the recording until something ends it."""
        begun_s = time.monotonic()
        look_s, grown_s, n_written = 0.0, begun_s, 0
        outcome, order = self._outcome, self._order
        while True:
            now_s = time.monotonic()
            outcome.streamed_s = now_s - begun_s
            if self._observer.is_cancelled():
                return
            if order.duration_s is not None and outcome.streamed_s >= order.duration_s:
                return
            if session.failure is not None:
                outcome.note(f"the session has ended: {session.failure!r}")
                return
            if not recorder.is_running:
                outcome.note(f"LabRecorder has ended before its time: {_last_line(recorder)}")
                return
            if now_s >= look_s:
                look_s = now_s + PROGRESS_PERIOD_S
                self._look_at_file()
                self._observer.progress(self._progress(RecordingStage.RECORDING, session.status()))
                if self._n_written > n_written:
                    grown_s, n_written = now_s, self._n_written
                if (problem := self._trouble(now_s - grown_s)) is not None:
                    outcome.note(problem)
                    return
            time.sleep(LOOK_PERIOD_S)

    def _trouble(self, still_s: float) -> str | None:
        """Say why the recording must end, if it must."""
        if (problem := self._room.problem()) is not None:
            return problem
        if self._kept is not None and self._kept.is_gone:
            self._tell(f"{self._order.path} was moved or removed: it is written again at the end")
        if still_s > STUCK_FILE_S and self._missing_bytes() > _WRITER_BYTES:
            return f"LabRecorder has written nothing for {still_s:.0f} s: is the disk full?"
        if warning := self._room.warning(self._file.n_bytes, self._outcome.streamed_s):
            self._tell(warning)
        return None

    def _progress(self, stage: RecordingStage, status: Status | None = None) -> RecordingProgress:
        status = status or self._outcome.status
        self._outcome.status = status
        streams = status.get("streams", ())
        for text in (*status.get("problems", ()), *status.get("notices", ())):
            self._tell(text)
        return RecordingProgress(
            stage,
            self._outcome.streamed_s,
            self._file.n_bytes,
            len(self._file.streams),
            sum(stream["samples"] for stream in streams),
            sum(stream["lost"] for stream in streams),
        )

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._observer.notice(text)

    # ---- after the last sample ------------------------------------------------------------------

    def _stop(self, session: Session) -> None:
        try:
            session.stop().result(STREAMING_STOP_S)
        except FutureTimeout:
            self._outcome.note(f"the board did not stop in {STREAMING_STOP_S:g} s")
        except BelaError as error:
            self._outcome.note(str(error))
        self._outcome.status = session.status()
        self._outcome.streamed = self._expected(self._outcome.status)

    def _expected(self, status: Status) -> dict[str, int]:
        """Give what the file must hold: of clock and events what was counted, else STATUS."""
        streaming = self._settings.streaming
        counted = self._counts()
        names = [name for name in (streaming.clock_stream, streaming.events_stream) if name]
        expected = {stream["name"]: int(stream["samples"]) for stream in status["streams"]}
        for name, n_samples in counted.items():
            if expected.setdefault(name, n_samples) != n_samples:
                self._outcome.note(
                    f"{name}: STATUS counts {expected[name]} samples, LSL was given {n_samples}"
                )
        return expected | {name: counted.get(name, 0) for name in names}

    def _counts(self) -> dict[str, int]:
        """Give the samples and markers that LSL was given so far."""
        outlets = self._outlets
        if outlets is None:
            return {}
        return {**outlets.n_samples, self._settings.streaming.events_stream: outlets.n_markers}

    def _since(self, streamed: Mapping[str, int]) -> dict[str, int]:
        """Give the samples and markers that LSL was given since they were counted."""
        counted = self._counts()
        return {name: counted.get(name, n_before) - n_before for name, n_before in streamed.items()}

    def _let_catch_up(self, recorder: RecorderProcess) -> None:
        """Wait until no sample comes any more, and no more is lacked than its writer may hold."""
        begun_s = grown_s = time.monotonic()
        n_written = -1
        while recorder.is_running:
            now_s = time.monotonic()
            self._look_at_file()
            if self._n_written > n_written:
                grown_s, n_written = now_s, self._n_written
            waited = now_s - max(grown_s, begun_s) >= LAST_FETCH_S
            if waited and self._missing_bytes() <= _WRITER_BYTES:
                return
            if now_s - begun_s > CATCH_UP_S:
                self._outcome.note(f"LabRecorder did not fetch all in {CATCH_UP_S:g} s")
                return
            time.sleep(LOOK_PERIOD_S)

    def _missing_bytes(self) -> float:
        """Estimate the size of what was streamed and is not seen in the file."""
        return self._file.missing_bytes(self._counts(), self._outcome.identity)

    @property
    def _n_written(self) -> int:
        """Samples of the board that are in the file; those of others may never cease to come."""
        return self._file.n_samples_of(self._outcome.identity)

    # ---- waiting --------------------------------------------------------------------------------

    def _wait_for(self, future: Future[T], timeout_s: float, what: str) -> T:
        until_s = time.monotonic() + timeout_s
        while True:
            try:
                return future.result(LOOK_PERIOD_S)
            except FutureTimeout:
                self._end_if_cancelled()
                if time.monotonic() > until_s:
                    raise RecordingError(
                        f"nothing was recorded: the board did not {what} in {timeout_s:g} s"
                    ) from None

    def _end_if_cancelled(self) -> None:
        if self._observer.is_cancelled():
            raise RecordingError("nothing was recorded: it was ended before it began")


def _last_line(recorder: RecorderProcess) -> str:
    lines = recorder.output.strip().splitlines()
    return lines[-1] if lines else "it says nothing"
