"""A board that plays back a capture of a real one."""
