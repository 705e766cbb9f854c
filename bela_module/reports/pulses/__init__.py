"""Sync pulses in two channels of a recording: which belong together, lag and jitter. Pure."""
