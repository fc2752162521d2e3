"""What the numbers mean: latency statistics, accuracy metrics, comparisons. NumPy only."""
