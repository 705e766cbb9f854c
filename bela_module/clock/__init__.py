"""The device clock: board ticks to LSL seconds, with an error bound. Pure."""
