"""``dp-bela record``: records into XDF with LabRecorder, and proves what is in the file."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from bela_module.cli.board_options import (
    SimulatedAddress,
    add_board_options,
    settings_of,
    simulated_board,
)
from bela_module.errors import (
    BelaError,
    ConfigError,
    LibraryError,
    RecordingError,
    RequestError,
)
from bela_module.server.process_io import end_on_signals, print_out, report_error

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from pathlib import Path

    from bela_module.config import Settings
    from bela_module.lab_recording.file_names import FileTemplate
    from bela_module.lab_recording.recording_order import RecordingOrder, RecordingOutcome
    from bela_module.lab_recording.sidecar_files import RecordedFile


def main(arguments: Sequence[str]) -> int:
    """Record; return 0 when the file has all that was streamed, 1 when not, 2 for wrong options."""
    options = _parser().parse_args(arguments)
    try:
        settings, variables, name = settings_of(options), _variables(options), _name(options)
    except BelaError as error:
        return report_error(error, 2)
    try:
        recorded = _record(options, settings, variables, name)
        _show(options, recorded)
    except BelaError as error:
        return report_error(error, 1)
    reason = _failure(recorded)
    return 0 if reason is None else report_error(reason, 1)


def _record(
    options: argparse.Namespace,
    settings: Settings,
    variables: tuple[str, ...] | None,
    name: FileTemplate,
) -> RecordedFile:
    from bela_module.lab_recording.disk_room import DiskRoom
    from bela_module.lab_recording.recorder_process import find_recorder
    from bela_module.lab_recording.recording_order import RecordingOrder
    from bela_module.reports.xdf_reader import require_reader

    program = find_recorder()
    require_reader()
    prepare_lsl = _library()
    ending = threading.Event()
    end_on_signals(ending.set)  # until here a signal ends the process, and leaves no file
    path = name.reserve(settings.recording.dir, datetime.now().astimezone())
    made = _identity(path)
    try:
        if problem := DiskRoom(path).problem():
            raise BelaError(problem)
        with simulated_board(options) as simulated:
            settings = _at(settings, simulated)
            order = RecordingOrder(
                path,
                program,
                variables=_of_replay(simulated) if variables is None else variables,
                group=options.group,
                whole_lab=options.streams == "all",
                duration_s=options.duration,
                exclusive=options.exclusive,
                lsl_settings=prepare_lsl(simulated is not None),
                follows_ticks=simulated is None or simulated.replay is None,
            )
            outcome = _run(options, settings, order, simulated, ending)
    except BaseException as error:
        if not _holds_samples(path):
            with contextlib.suppress(OSError):
                if _identity(path) == made:  # not what another program has put there since
                    path.unlink()
        elif isinstance(error, BelaError):
            raise RecordingError(f"{error}; what was recorded until then is in {path}") from error
        raise
    return _proven(options, settings, order, outcome)


def _proven(
    options: argparse.Namespace,
    settings: Settings,
    order: RecordingOrder,
    outcome: RecordingOutcome,
) -> RecordedFile:
    """Read the file back, unless a signal ends that; write what goes beside it."""
    from bela_module.cli.record_screen import reading_back
    from bela_module.lab_recording.sidecar_files import write_sidecars

    path = outcome.restored or order.path
    try:
        with reading_back(path.name, json_lines=options.json):
            end_on_signals(_interrupt)
            recorded = _read_back(settings, order, outcome)
    except KeyboardInterrupt:
        raise RecordingError(
            f"{path} is recorded, but was not read back: nothing is proved of it, and nothing was "
            "written beside it; dp-bela report reads it"
        ) from None
    finally:
        end_on_signals(_ignore)  # what is left takes no time
    write_sidecars(recorded)
    return recorded


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


def _ignore() -> None:
    pass


def _identity(path: Path) -> tuple[int, int]:
    """Tell a file from any other that comes in its place."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _holds_samples(path: Path) -> bool:
    """Tell whether a file of LabRecorder has any: of the board, or of others in the lab."""
    from bela_module.lab_recording.growing_file import GrowingXdf

    file = GrowingXdf(path)
    file.look()
    return file.n_samples > 0


def _library() -> Callable[[bool], str | None]:
    """Load LSL; return what gives it its settings, and returns those of LabRecorder."""
    try:
        from bela_module.streams.lsl.lsl_settings import look_often, prepare_lsl
    except (ImportError, OSError, RuntimeError) as error:  # pylsl raises any of them
        raise LibraryError(f"{error}") from error
    from bela_module.server.process_limits import raise_descriptor_limit

    raise_descriptor_limit()

    def prepare(this_machine_only: bool) -> str | None:
        settings = prepare_lsl(this_machine_only=this_machine_only)
        return None if settings is None else look_often(settings)

    return prepare


def _run(
    options: argparse.Namespace,
    settings: Settings,
    order: RecordingOrder,
    simulated: SimulatedAddress | None,
    ending: threading.Event,
) -> RecordingOutcome:
    from bela_module.cli.record_screen import RecordScreen
    from bela_module.lab_recording.recording_run import RecordingRun
    from bela_module.server.process_limits import limit_pauses

    # What goes wrong is shown as a notice; a log line beside it would say it twice.
    logging.getLogger("bela_module").addHandler(logging.NullHandler())
    replay = simulated.replay if simulated is not None else None
    screen = RecordScreen(
        order.path.name,
        json_lines=options.json,
        is_over=lambda: ending.is_set() or (replay is not None and replay.finished.is_set()),
    )
    with screen, limit_pauses():
        return RecordingRun(settings, order, screen).run()


def _at(settings: Settings, simulated: SimulatedAddress | None) -> Settings:
    from bela_module.config import with_overrides

    if simulated is None:
        return settings
    host, port = simulated.start()
    return with_overrides(settings, board={"host": host, "port": port, "name": "simulated"})


def _of_replay(simulated: SimulatedAddress | None) -> tuple[str, ...] | None:
    """Name what was recorded in a capture that is replayed."""
    replay = simulated.replay if simulated is not None else None
    if replay is None:
        return None
    if not replay.watched:
        raise RequestError("the capture has single values only: play it with stream --replay")
    return tuple(replay.watched)


def _read_back(
    settings: Settings, order: RecordingOrder, outcome: RecordingOutcome
) -> RecordedFile:
    """Read the file and compare it with what was streamed."""
    from bela_module.checking.computer_probe import installed_versions
    from bela_module.lab_recording.file_proof import prove
    from bela_module.lab_recording.recorder_process import recorder_version
    from bela_module.lab_recording.sidecar_files import RecordedFile
    from bela_module.reports.recording_report import report_on
    from bela_module.reports.xdf_reader import read_recording

    path = outcome.restored or order.path
    recording = read_recording(path)
    name, version = recorder_version()
    return RecordedFile(
        path=path,
        identity=outcome.identity,
        report=report_on(recording),
        proofs=prove(
            recording,
            outcome.identity,
            outcome.streamed,
            outcome.earlier,
            outcome.later,
            outcome.uids,
        ),
        problems=outcome.problems,
        status=outcome.status,
        streamed_s=outcome.streamed_s,
        versions={**installed_versions(), name: version},
        configuration=_configuration(settings, order),
    )


def _configuration(settings: Settings, order: RecordingOrder) -> dict[str, Any]:
    return {
        **settings.model_dump(mode="json"),
        "record": {
            "streams": "all" if order.whole_lab else "own",
            "variables": None if order.variables is None else list(order.variables),
            "group": order.group,
            "duration_s": order.duration_s,
            "exclusive": order.exclusive,
        },
    }


def _show(options: argparse.Namespace, recorded: RecordedFile) -> None:
    if options.json:
        print_out(json.dumps({**recorded.as_json(), "final": True}))
        return
    from bela_module.cli.report_command import print_report

    print_report(recorded.report)


def _failure(recorded: RecordedFile) -> str | None:
    """Say in a line why the recording is not what was asked for; ``None`` when it is."""
    from bela_module.cli.live_view import shortcoming

    if recorded.faults:
        return "; ".join(recorded.faults)
    if recorded.own_verdict.value == "fail":
        return f"the verdict on {recorded.path} is fail"
    return shortcoming(dict(recorded.status))


def _variables(options: argparse.Namespace) -> tuple[str, ...] | None:
    if options.variables is None:
        return None
    names = tuple(name.strip() for name in options.variables.split(",") if name.strip())
    if not names:
        raise ConfigError("--variables names none; give them as a,b or leave the option out")
    return names


def _name(options: argparse.Namespace) -> FileTemplate:
    from bela_module.lab_recording.file_names import FileTemplate, NameParts, checked_label

    labels: dict[str, str | None] = {}
    for field in ("subject", "session", "task"):
        text = getattr(options, field)
        try:
            labels[field] = None if text is None else checked_label(field, text)
        except ValueError as error:
            raise ConfigError(f"--{field} {error}") from None
    return FileTemplate(options.file, NameParts(**labels, run=options.run))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dp-bela record",
        description="Stream a board's variables and record them into an XDF file with "
        "LabRecorder: from the first sample to the last. The file is read back and compared with "
        "what was streamed; what was recorded is written beside it, as .md and .json, and shown.",
        epilog="Ctrl-C ends the recording; while the file is read back, it ends that. Exit status: "
        "0 when the file has all that was streamed and nothing was lost, 1 when not, 2 for wrong "
        "options. It needs pip install 'dp-bela[record]'.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE.xdf",
        help="the file, never one that exists; or a template with {subject}, {session}, {task}, "
        "{run}, {date}, {time}; or a folder. Default: in the folder recording.dir of the "
        "configuration, sub-{subject}_task-{task}_run-{run:02d} of what is given, else "
        "bela_{date}_{time}",
    )
    add_board_options(parser)
    parser.add_argument(
        "--streams",
        choices=("own", "all"),
        default="own",
        help="record the board's streams (default), or all that are on the network at the start",
    )
    parser.add_argument("--duration", metavar="S", type=_seconds, help="end after so many seconds")
    for field in ("subject", "session", "task"):
        parser.add_argument(f"--{field}", metavar="LABEL", help=f"{field}, for the file's name")
    parser.add_argument(
        "--run", metavar="N", type=_run_number, help="run; default: the first that does not exist"
    )
    parser.add_argument("--variables", metavar="a,b", help="what to stream (default: all)")
    parser.add_argument(
        "--group",
        choices=("auto", "none", "all"),
        help="which variables share streams: many, none or all (default: the config, auto)",
    )
    parser.add_argument(
        "--exclusive",
        action="store_true",
        help="end first what others watch on the board, as what a crash has left",
    )
    parser.add_argument(
        "--json", action="store_true", help="a JSON object a second, the last one with the report"
    )
    return parser


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")


def _run_number(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
