"""Connects the inputs of a session, and sends what they receive past the queue of jobs."""
