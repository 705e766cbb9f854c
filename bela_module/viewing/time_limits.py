"""Times of the live page: how often it is drawn, asked for and looked for; limits on waiting."""

from __future__ import annotations

from typing import Final

DRAW_PERIOD_S: Final = 0.1
"""Between two drawings of a page."""
DRAWN_WITHIN_S: Final = 5.0
"""For a browser to confirm a drawing; then it is sent another one without."""
PULL_PERIOD_S: Final = 0.04
"""Between two looks for samples."""
STATUS_PERIOD_S: Final = 0.5
LIST_PERIOD_S: Final = 1.0
"""Between two requests for the board's variables, of a page that controls them."""
SET_PERIOD_S: Final = 0.1
"""Between two values of a variable that a page sets: of a slider that is moved the newest."""
SET_SHOWN_S: Final = 3.0
"""How long a page shows what it has set before it follows the board again."""
SEARCH_PERIOD_S: Final = 1.0
"""Between two searches for streams that are missing."""
IDLE_SEARCH_PERIOD_S: Final = 5.0
"""Between two searches for streams when those that are known of are all there."""
RESOLVE_S: Final = 0.8
"""For streams to answer a search."""
OPEN_STREAM_S: Final = 5.0
"""For a stream to be connected to."""
CONNECT_S: Final = 2.0
"""For a module to accept a connection."""
REPLY_S: Final = 3.0
"""For a module to answer a query."""
COMMAND_S: Final = 30.0
"""For a module to carry out a command."""
SESSION_KEPT_S: Final = 4.0
"""How long a page that was left is kept, for a browser that lost its connection."""
SHOWN_S: Final = 60.0
"""The longest time that a page shows."""
KEPT_S: Final = 75.0
"""How long samples are kept, with some more for a page that stands still."""
CLOCK_CORRECTION_S: Final = 0.005
"""How far LSL moves the stamps of another computer when it has measured its clock again."""
PLOT_SERVER_S: Final = 20.0
"""For the server of a script's plot to begin, and to end."""
