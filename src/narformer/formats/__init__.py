"""Formats of networks: reading and writing ONNX files, reading PyTorch modules."""
