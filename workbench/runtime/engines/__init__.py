"""TensorRT engines on disk: the cache, what is in it, and what others have left in theirs."""
