"""Networks as others write them: ONNX files in and out, PyTorch modules in."""
