"""The same graph in other number types."""
