"""Models run by TensorRT itself, through its own interface, in a companion process."""
