"""Networks as others write them: ONNX files in and out, PyTorch modules in."""

__all__ = ["is_onnx"]


def is_onnx(path: str) -> bool:
    """Whether a path is meant as an ONNX file, by its ending; the file need not be there."""
    return path.lower().endswith(".onnx")
