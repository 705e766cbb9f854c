"""What a page draws of signals: samples, envelopes, gaps, lanes, columns. Pure."""
