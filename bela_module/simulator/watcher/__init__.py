"""The simulated Watcher: state machines of its commands and variables. Pure."""
