"""Text to learn from: where it comes from, and how it becomes rows of tokens."""
