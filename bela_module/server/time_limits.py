"""Times of the PCOMM server: limits on clients, callbacks, keepalive, log flushing."""

from __future__ import annotations

from typing import Final

SESSION_CLOSE_S: Final = 0.7
"""For the session to leave the board clean: a control room kills modules after 1 s."""
LISTENING_END_S: Final = 1.0
"""For the listening thread to end when another thread shuts the server down."""
STOP_EVENT_CHECK_S: Final = 0.1
"""Longest time between two looks at the stop event."""
COMMANDS_TURN_S: Final = 0.003
"""For the commands of all clients, and for what other threads have posted, before the sockets are
looked at again: ``UP`` waits so long."""
COMMANDS_BURST_S: Final = 0.02
"""Processor time that a client's commands may take without a pause; then it rests."""
COMMANDS_SHARE: Final = 0.2
"""The share of time that all clients may take that send commands without a pause."""
HALF_CLOSED_CLIENT_S: Final = 5.0
"""For a client that has stopped sending to be answered what it asked for."""
ACCEPT_RETRY_S: Final = 0.5
"""Pause after accepting a client has failed."""
CALLBACK_SPACING_S: Final = 0.1
"""Least time between two callbacks; the control room polls every few milliseconds."""
CONTROL_ROOM_UPS_S: Final = 5.0
"""Over which the ``UP`` of a connection are counted."""
CALLBACK_CONNECT_S: Final = 1.0
"""For the address of ``callbacks.to`` to take a callback."""
CALLBACK_FLUSH_S: Final = 0.2
"""For callbacks that still wait when the server ends."""
UNTERMINATED_COMMAND_S: Final = 3.0
"""Silence after a command without its delimiter, before that is reported."""
PORT_OWNER_BANNER_S: Final = 0.3
"""For a module that has the port to send its banner."""
KEEPALIVE_IDLE_S: Final = 10
"""Silence of a client before TCP probes whether it is still there."""
KEEPALIVE_INTERVAL_S: Final = 5
KEEPALIVE_PROBES: Final = 3
OUTPUT_FLUSH_S: Final = 0.2
"""For a line to be taken by the reader of standard output, before the program goes on."""
OUTPUT_END_S: Final = 2.0
"""For the reader of standard output to take the summary."""
OUTPUT_RETRY_S: Final = 0.02
"""Between two tries to write to a descriptor that is full and does not wait."""
STDERR_END_S: Final = 0.1
"""For the reader of standard error to take the last words."""
LOG_FLUSH_S: Final = 0.1
"""For each destination to take the last log records."""
FAILURE_LOG_FLUSH_S: Final = 1.0
"""The same after a failure, when nobody waits for the end and the reason must arrive."""
SIMULATOR_ANSWER_S: Final = 0.15
"""For a simulated board to react, before it is taken to hang."""
HANGING_BOARD_CLOSE_S: Final = 0.05
"""For the session to end when its simulated board hangs: nothing can be left clean."""
SIMULATOR_START_S: Final = 20.0
"""For the process of a simulated board to say where it listens, beside a virus scanner."""
