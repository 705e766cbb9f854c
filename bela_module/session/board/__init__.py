"""What is known of the board, and what this session has changed on it."""
