"""Trying which nodes a lower precision breaks."""
