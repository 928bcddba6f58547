"""Formats of networks: reading and writing ONNX files, reading PyTorch modules."""

__all__ = ["is_onnx"]


def is_onnx(path: str) -> bool:
    """Whether a path is meant as an ONNX file, by its ending; the file need not be there."""
    return path.lower().endswith(".onnx")
