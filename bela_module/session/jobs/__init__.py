"""Jobs of a session, a file or two for each command: what START, STOP, SET, LIST ... do."""
