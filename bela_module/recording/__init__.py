"""Files of what streams."""
