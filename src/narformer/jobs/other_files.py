"""Files that are no ONNX model: what they are, and the road from them to one."""

from pathlib import Path

__all__ = ["recognised_file"]

HEAD = 4096  # bytes of a file that are looked at
PYTORCH = (
    "Load it into its module in Python, and export that: torch.onnx.export(module, example_inputs, 'model.onnx'); or "
    "give the module to narformer.jobs.predict_module."
)
WEIGHTS = f"It holds weights without the network. {PYTORCH}"
ORIGIN = "Export the model to ONNX where it was made, or give the ONNX file that this one was made from."
TF2ONNX = "Convert it with the package tf2onnx: python -m tf2onnx.convert"
KERAS = "Load it in Keras, and export that: model.export('model.onnx', format='onnx')."

# The bytes at a place in the file -> what it is, and what to do.
_MARKS = (
    (4, b"TFL3", "a TensorFlow Lite model", f"{TF2ONNX} --tflite FILE --output model.onnx"),
    (4, b"ORTM", "a model in ONNX Runtime's own format", ORIGIN),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them", KERAS),
    (0, b"GGUF", "a GGUF file", WEIGHTS),
    (8, b'{"', "a safetensors file", WEIGHTS),
    (0, b"\x93NUMPY", "an array of NumPy", "Give the network, not its inputs."),
    (0, b"\x80\x02", "a pickle, as PyTorch wrote them", PYTORCH),
)
_ENDINGS = {
    ".keras": ("a Keras model", KERAS),
    ".npz": ("arrays of NumPy", "Give the network, not its inputs."),
    ".pt": ("a PyTorch file", PYTORCH),
    ".pth": ("a PyTorch file", PYTORCH),
    ".pt2": ("a PyTorch file", PYTORCH),
    ".ckpt": ("a PyTorch file", PYTORCH),
    ".pb": ("a TensorFlow graph", f"{TF2ONNX}, with --saved-model FOLDER or --graphdef FILE, and --output model.onnx"),
    ".mlmodel": ("a Core ML model", ORIGIN),
    ".engine": ("a TensorRT engine", ORIGIN),
    ".plan": ("a TensorRT engine", ORIGIN),
    ".pdmodel": ("a Paddle model", "Convert it with the package paddle2onnx."),
}


def recognised_file(path: Path) -> tuple[str, str] | None:
    """What a file is that was given for an ONNX model, and what to do: by its first bytes, or else its ending.

    None where nothing is recognised, and for a file that is empty or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    ending = path.suffix.lower()
    for place, mark, what, remedy in _MARKS:
        if head[place:].startswith(mark):
            return what, remedy
    if head.startswith(b"PK\x03\x04"):
        known = _ENDINGS.get(ending)
        return known or (("a PyTorch file", PYTORCH) if b"/data.pkl" in head else ("a zip archive", "Unpack it."))
    if head and _is_text(head):
        if ending == ".xml" and b"<net" in head:
            return "a network of OpenVINO", ORIGIN
        return "a text file", "Export the network to ONNX, and give that file."
    return _ENDINGS.get(ending)


def _is_text(head: bytes) -> bool:
    """Whether bytes, perhaps cut inside a character, are lines of text."""
    text = head.decode("utf-8", errors="ignore")
    lost = len(head) - len(text.encode())
    return lost < 4 and all(character.isprintable() or character in "\t\n\r\f\ufeff" for character in text)
