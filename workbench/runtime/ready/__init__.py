"""Making a model ready for TensorRT, step by step in processes of their own."""
