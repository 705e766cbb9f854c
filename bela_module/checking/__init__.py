"""``check``: is everything ready for an experiment? Measures, judges, and says what to do."""
