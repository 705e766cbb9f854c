"""What jobs of a session may see and change; its state changes, counts of ended connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bela_module.config import Settings
from bela_module.connection.board_client import BoardClient
from bela_module.session.board.board_changes import BoardChanges
from bela_module.session.board.board_state import BoardState
from bela_module.session.board.prober import Prober
from bela_module.session.command_queue.job_queue import JobQueue
from bela_module.session.delivery.delivery import Delivery
from bela_module.session.delivery.diagnosis import find_uneven
from bela_module.session.delivery.step_surveyor import StepSurveyor
from bela_module.session.inputs.active_inputs import ActiveInputs
from bela_module.session.notices import Notices
from bela_module.session.running import RunningDeliveries
from bela_module.session.states import SessionState
from bela_module.session.time_limits import CLEANING_S
from bela_module.state_machine import StateMachine
from bela_module.streams.sink import Sink
from bela_module.streams.stream_plans import StreamMode
from bela_module.validation import printable_name


@dataclass(frozen=True, slots=True)
class Options:
    """How a session treats its board.

    Parameters
    ----------
    exclusive : bool
        Whether START ends first what other clients have left watched or monitored.
    obeys_ticks : bool
        Whether the board begins and ends streams where it is told; a recording does not.
    prefers_blocks : bool
        Whether values come in blocks wherever these have their times; else as soon as they can.
    """

    exclusive: bool = False
    obeys_ticks: bool = True
    prefers_blocks: bool = False


@dataclass(slots=True)
class Runtime:
    """The parts of a running session.

    Parameters
    ----------
    settings : Settings
        Where the board is, and how its streams are called.
    options : Options
        How to treat the board.
    sink : Sink
        Where samples go.
    now : callable
        LSL seconds.
    notices : Notices
        Are told what happens.
    board : BoardState
        What is known of the board.
    prober : Prober
        Asks the board for its list.
    surveyor : StepSurveyor
        Finds the steps of dense variables.
    jobs : JobQueue
        Commands that wait for the board.
    machine : StateMachine
        The state that STATUS shows.
    running : RunningDeliveries
        What streams.
    changes : BoardChanges
        What has to be undone on the board.
    status_changed : callable
        To be called when STATUS has changed in more than figures.
    inputs : ActiveInputs
        What drives the board from LSL.
    client : BoardClient or None
        The present connection.
    connection_problems : tuple of str
        What is wrong with the connection, in words.
    is_quiet : bool
        Whether nothing comes on a connection that has not ended.
    """

    settings: Settings
    options: Options
    sink: Sink
    now: Callable[[], float]
    notices: Notices
    board: BoardState
    prober: Prober
    surveyor: StepSurveyor
    jobs: JobQueue
    machine: StateMachine[SessionState]
    running: RunningDeliveries
    changes: BoardChanges
    status_changed: Callable[[], None]
    inputs: ActiveInputs = field(default_factory=ActiveInputs)
    client: BoardClient | None = None
    connection_problems: tuple[str, ...] = ()
    is_quiet: bool = False

    # ---- state ----------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """The state that STATUS shows."""
        return self.machine.state

    def enter(self, state: SessionState) -> None:
        """Show a state."""
        self.machine.move_to(state)

    # ---- connection -----------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that was not lost."""
        return self.client is not None and not self.client.lost.done()

    @property
    def must_leave(self) -> bool:
        """Whether something has to be ended on the board before the session may."""
        changes = self.changes
        changed = changes.controlled or changes.left
        return bool(self.running or self.jobs or changed or self.inputs.must_leave)

    def connected(self, client: BoardClient) -> None:
        """Take a connection as the present one."""
        self.client = client

    def connection_ended(self, client: BoardClient) -> None:
        """Forget a connection; its counts are kept."""
        self.client = None
        self.board.counters.bad_replies += client.counters.bad_frames

    # ---- what runs ------------------------------------------------------------------------

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, with the connection, with what runs and with inputs."""
        running = (*self.connection_problems, *self.running.problems)
        return tuple(dict.fromkeys((*running, *self.inputs.problems)))

    def note_left(self, delivery: Delivery) -> None:
        """Note that the board could not be told to end a delivery."""
        names = [variable.name for variable in (*delivery.watched, *delivery.monitored)]
        self.changes.note_left(names, self.now() + CLEANING_S)

    def note_failure(self, text: str) -> None:
        """Tell what went wrong and keep it as a shortfall of what runs."""
        self.running.note_shortfall(text)
        self.notices.tell(text)

    def note_failure_from_thread(self, text: str) -> None:
        """Do the same from another thread than the session's."""
        self.notices.tell_from_thread(text, self.note_failure)

    def drop(self, delivery: Delivery) -> None:
        """Forget a delivery that has ended; its problems become shortfalls."""
        uneven = (str(finding) for finding in find_uneven(delivery))
        for problem in (*self.connection_problems, *delivery.problems, *uneven):
            self.running.note_shortfall(problem)
        opened = {
            variable.name
            for stream in delivery.streams
            if stream.facts is not None
            for variable in stream.plan.variables
        }
        untimed = {n: count for n, count in delivery.unstamped.items() if count and n not in opened}
        for name, n_values in delivery.withheld.items():
            if name not in untimed:
                self.running.note_shortfall(
                    f"{printable_name(name)}: {n_values} values withheld: its blocks do not tell "
                    "when they were assigned; declare it with kTimestampSample in the sketch"
                )
        for name, n_values in untimed.items():
            self.running.note_shortfall(
                f"{printable_name(name)}: {n_values} values withheld: the board's ticks do not "
                "follow time; call tick() in the sketch for each frame"
            )
        for name, n_values in delivery.kept_back.items():
            self.running.note_shortfall(
                f"{printable_name(name)}: not assigned any more at the end; the board has kept "
                f"what came since its last block, fewer than {n_values} values"
            )
        for stream, variable in delivery.members(StreamMode.DENSE, StreamMode.SPARSE):
            tracker = stream.tracker_of(variable)
            if tracker.left_out:
                self.running.note_shortfall(
                    f"{printable_name(variable.name)}: {tracker.left_out} values did not come "
                    "singly, as those that are assigned less than two ticks apart; assign it once "
                    'a tick, or declare it with kTimestampSample and stream it with mode = "watch"'
                )
        self.running.drop(delivery)
        if not self.running:
            self.connection_problems = ()
        self.status_changed()
