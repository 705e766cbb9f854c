"""One connection to a board: address, two websockets, commands, wire recording."""
