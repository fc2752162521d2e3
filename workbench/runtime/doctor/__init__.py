"""What is installed here, what can run, and what would help."""
