"""Times of the streams: how long samples wait for listeners, outlets stay, searches take."""

from __future__ import annotations

from typing import Final

FIRST_LISTENER_S: Final = 5.0
"""For somebody to listen to a stream; the first samples of a run, and markers, wait so long."""
LISTENER_CHECK_S: Final = 0.02
"""Between two looks whether somebody listens by now."""
MEMORY_RETURN_S: Final = 20.0
"""Between two times that freed memory is given back to the system."""
UNHEARD_OUTLET_S: Final = 60.0
"""For an outlet of variables that are gone to stay when nobody listens."""
OUTLETS_END_S: Final = 5.0
"""For LSL to end all outlets at the end of the module."""
IDENTITY_SEARCH_S: Final = 1.0
"""For a search to find the streams of others: outlets answer its second wave."""
IDENTITY_CONFIRM_S: Final = 1.0
"""For a stream that was found to answer once more."""
IDENTITY_SEARCH_PERIOD_S: Final = 15.0
"""Between two searches in the background."""
RATE_WINDOW_S: Final = 10.0
"""Over which the effective rate of a stream is measured."""
INPUT_LOOK_S: Final = 0.1
"""Between two looks whether the stream of an input was found."""
INPUT_OPEN_S: Final = 2.0
"""For the stream of an input to send its description and the time of its computer."""
INPUT_END_CHECK_S: Final = 0.2
"""Longest wait for a sample before a look whether the input is to end."""
INPUT_PAUSE_LOOK_S: Final = 0.05
"""Between two looks at a stream while what came of it waits for its rate."""
INPUT_SILENT_S: Final = 10.0
"""For a stream to give a sample or answer a measurement of its clock, before it has ended."""
INPUT_RETRY_S: Final = 0.5
"""Before a stream that could not be used is tried again."""
