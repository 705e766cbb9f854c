"""The command line and its live table."""
