"""Times of the command line: period of ``--json`` lines and the screen, limits on stopping."""

from __future__ import annotations

from typing import Final

STREAM_STOP_S: Final = 5.0
"""For the streams to be stopped at the end of ``stream``."""
SESSION_CLOSE_S: Final = 5.0
"""For the session to leave the board clean."""
SCREEN_REFRESH_S: Final = 0.25
JSON_LINE_S: Final = 1.0
"""Time between two lines of ``--json``."""
REPLAY_LINGER_S: Final = 2.0
"""For listeners to receive the end of a short replay."""
VIEW_ASK_S: Final = 2.0
"""For a module that runs already to answer ``view``."""
