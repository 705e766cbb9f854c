"""One START, SCHEDULE or MONITOR on the board: its beginning, course and end."""
