"""From samples of an LSL stream to what the board gets, and when it took effect there. Pure."""
