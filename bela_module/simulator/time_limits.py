"""Times of the simulated board: start, sleeps, replies, replay."""

from __future__ import annotations

from typing import Final

BOARD_START_S: Final = 10.0
"""For the board's thread to begin to listen."""
CLOSE_HANDSHAKE_S: Final = 0.2
"""For a client to answer a close frame."""
LONGEST_SLEEP_S: Final = 0.25
"""Longest wait of a simulated board for its next due tick."""
LOG_REPLY_S: Final = 0.01
"""Delay of the reply to ``log``; 10 to 60 ms were measured on a board."""
DELAYED_ACK_S: Final = 0.04
"""Longest delay of a client's acknowledgement; as on Linux, where it is 40 ms."""
FIRST_ACK_CHECK_S: Final = 0.0005
"""After a message's arrival until the first look for the client's acknowledgement."""
LONGEST_ACK_CHECK_S: Final = 0.002
"""Longest time between two of these looks."""
SIGNAL_CHECK_S: Final = 0.2
"""Longest time between two looks at signals; on Windows they do not interrupt a wait."""

# ---- replay ----------------------------------------------------------------------------------
REPLAY_SLEEP_S: Final = 0.05
"""Longest wait of a replayed board for its next message."""
REPLAY_PREROLL_S: Final = 0.6
"""Longest time by which a replay begins before the recording."""
REPLAY_LEAD_S: Final = 0.1
"""Time before the first recorded tick at which a replay waits for a client."""
RATE_FIT_SPAN_S: Final = 0.2
"""Shortest span of a capture from which a tick rate is fitted."""
SHORT_SLEEP_S: Final = 0.0005
"""Up to which the echo of a command is waited for exactly, a block of 16 frames."""
