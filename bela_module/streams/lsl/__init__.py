"""LSL outlets: everything that publishes with pylsl."""
