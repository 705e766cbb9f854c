"""Time limits of checks, in seconds, named after what expires."""

from __future__ import annotations

from typing import Final

CONNECT_S: Final = 8.0
"""For the session of a check to connect, and for its clock to settle."""
START_S: Final = 15.0
"""For the board to begin the streams."""
STOP_S: Final = 10.0
"""For the board to end them."""
FIND_STREAMS_S: Final = 6.0
"""For a resolver to find all streams; a busy computer may take some seconds."""
OTHERS_HEARD_S: Final = 1.6
"""For other programs to ask the board for something, while the check asks nothing."""
SAME_BOARD_S: Final = 1.0
"""For a resolver to find the streams of this board that a module of this computer has open."""
LAST_SAMPLES_S: Final = 3.0
"""For more samples to come at the inlets after STOP, as long as some are missing."""
WATCH_SHOWS_S: Final = 0.3
"""For what others have just begun to watch to be listed as watched."""
LOOK_PERIOD_S: Final = 0.1
"""Between two looks at STATUS."""
