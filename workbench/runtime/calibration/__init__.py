"""Calibration for INT8: the ranges of a model's activations on the user's data, and the tables they are kept in."""
