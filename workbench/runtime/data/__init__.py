"""The arrays that a model is given: one input, or many with labels."""
