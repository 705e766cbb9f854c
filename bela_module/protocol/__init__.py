"""The Watcher wire format, both directions: data channel, control channel, sketch buffers. Pure."""
