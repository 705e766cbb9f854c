"""Time limits of ``record``, in seconds, named after what expires."""

from __future__ import annotations

from typing import Final

BOARD_CONNECT_S: Final = 5.0
"""For the board to be connected."""
IDENTITY_SEARCH_S: Final = 1.0
"""For streams of another module to answer, before what others watch is ended."""
PREPARE_S: Final = 30.0
"""For the outlets to be opened."""
RECORDER_START_S: Final = 20.0
"""For LabRecorder to look for streams, open them all and write their headers."""
LATE_STREAM_S: Final = 3.0
"""For LabRecorder to say something new when it lacks only streams that it calls late."""
STREAMING_START_S: Final = 15.0
"""For the board to begin the streams."""
STREAMING_STOP_S: Final = 10.0
"""For the board to end them, and to send what it still holds."""
LAST_FETCH_S: Final = 1.5
"""Without growth of the file at the end: LabRecorder fetches every 0.5 s."""
CATCH_UP_S: Final = 30.0
"""For LabRecorder to fetch what it is behind at the end."""
RECORDER_STOP_S: Final = 60.0
"""For LabRecorder to write the ends of all streams: 2 to 3 s, more on a busy computer."""
SESSION_CLOSE_S: Final = 5.0
"""For the session to leave the board clean."""
LOOK_PERIOD_S: Final = 0.1
"""Between two looks at whether something has ended."""
PROGRESS_PERIOD_S: Final = 0.5
"""Between two looks at file, disk and STATUS."""
STUCK_FILE_S: Final = 20.0
"""For a file to grow while samples are streamed."""
