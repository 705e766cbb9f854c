"""Sketches of the simulated board: variables, their signals and when they are assigned."""
