"""Faults on demand: of single messages, and of the board, its clock or the network at a time."""
