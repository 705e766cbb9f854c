"""Queue of commands for the board: turns of clients, bounds, refusals."""
