"""Standard output and error of programs, which no reader can stop."""
