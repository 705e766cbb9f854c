"""The entry point that the Dareplane control room starts: ``python -m api.server``."""
