"""The streaming thread: driver loop, jobs, recovery, health, status."""
