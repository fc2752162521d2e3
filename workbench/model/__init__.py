"""What is in an ONNX file: read without its weights, checked, counted and hashed."""
