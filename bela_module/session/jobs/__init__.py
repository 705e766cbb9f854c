"""What can be asked of a session: START, SCHEDULE, MONITOR, STOP, SET, RELEASE, SEND, LIST."""
