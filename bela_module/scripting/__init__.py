"""The Python interface: Streamer, Monitor, Controller."""
