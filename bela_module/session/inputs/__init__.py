"""Inputs of a session: samples that wait for the board, states, counts, ``bela_loop``."""
