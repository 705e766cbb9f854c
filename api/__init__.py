"""The Dareplane side of the module: PCOMMs over TCP, log records to the log server."""
