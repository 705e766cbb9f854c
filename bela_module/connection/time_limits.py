"""Times of a connection to a board: limits on handshakes, confirmations and late replies."""

from __future__ import annotations

from typing import Final

CLOSE_HANDSHAKE_S: Final = 0.2
"""For the answer to a close frame; the board gives none and closes TCP instead."""
NEXT_ADDRESS_S: Final = 0.25
"""Between attempts at two addresses of one name, as RFC 8305 recommends."""
CONFIRM_POLL_S: Final = 0.02
"""Pause between two ``list`` requests while a change is to be confirmed."""
LEAST_HANDSHAKE_S: Final = 0.02
"""For the connection event, however long opening the websocket took."""
LATE_PONG_S: Final = 1.0
"""For the pong after a reply, before the reply is taken without it."""
OTHERS_ASK_S: Final = 10.0
"""Since a reply to another client, or its connection, for there to be more."""
LATE_REPLY_S: Final = 0.02
"""For a reply to arrive after an unreadable message that may have been it."""
