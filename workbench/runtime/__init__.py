"""All that touches onnxruntime, tensorrt or CUDA; most of it in a worker process."""
