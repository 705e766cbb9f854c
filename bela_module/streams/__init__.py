"""Stream plans, running streams and LSL outlets."""
