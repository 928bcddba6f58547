"""Why a PyTorch module cannot be traced: the error, its place in the code, and a remedy that fits."""

import itertools
import re
import traceback
from pathlib import Path

import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parameter import is_lazy

from narformer.errors import BadArchitecture, printable
from narformer.formats.torch_inputs import Enclosed, described

__all__ = ["refused", "refused_before"]

LINE = 80  # characters of a line of code that are shown
OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<string>", "<eval_with_key", "<frozen")

PACKED = re.compile(r"torch\.classes\.(quantized|rnn)\.")

# Words of an error's type and text -> what was expected, and a remedy; the first that fits.
REMEDIES = (
    (
        r"specialized integer|Cannot call numel",
        "sizes that do not depend on values of a tensor. Compute sizes from shapes, or give them to the module as "
        "arguments",
    ),
    (
        r"GuardOnDataDependentSymNode|data-dependent|bool value of Tensor|DataDependentOutput",
        "a forward pass without branches on values and without Python numbers that are computed from values (if, "
        "while, range, int(), float(), .item()). Use torch.where or torch.cond, or decide outside of the module",
    ),
    (
        r"numpy|__array__",
        "operations of torch only. Replace the operation of NumPy by the one of torch",
    ),
    (
        r"two different devices|same device|Unhandled FakeTensor Device|two devices|non-Fake Tensor",
        "all tensors on one device. Move module and inputs to one device, and make tensors in the forward pass with "
        "device=x.device",
    ),
    (
        r"same dtype|Input type .* should be the same|scalar types?|dtype .* not match|tensors used as indices",
        "numbers of one type. Give inputs of the type of the parameters, and integers as indices",
    ),
    (
        r"fake impl|UnsupportedOperator|UnsupportedFakeTensor|'Meta' backend|[Mm]eta tensor",
        "operations that state the shape of their result. Register it with torch.library.register_fake, or use an "
        "operation of torch",
    ),
    (
        r"ScriptModule|ScriptFunction|torch\.jit|ScriptMethod",
        "Python modules. Replace the part that torch.jit compiled by the module that it was made from",
    ),
    (
        r"\b(shape|size|dim|dimension|channels)s?\b|expected input|out of range|broadcast|must match",
        "inputs that the module can be called with. Give examples of such shapes",
    ),
    (
        r"\w+Error|\w+Exception",
        "a module that can be called with these inputs. Call it, and mend the inputs or the module; if it runs, export "
        "it to ONNX by other means",
    ),
)


def refused_before(module: torch.nn.Module) -> None:
    """Raise BadArchitecture for modules that torch.export does not take."""
    name = type(module).__name__
    if not isinstance(module, torch.nn.Module | torch.jit.ScriptFunction):
        raise BadArchitecture(f"found {printable(name)}; expected a torch.nn.Module")
    if isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise BadArchitecture(
            f"{printable(name)} was compiled by torch.jit; expected a Python module. Give the module that it was made "
            "from, or export it to ONNX"
        )
    if layer := _packed(module):
        raise BadArchitecture(
            f"{printable(name)} was quantised: the weights of {printable(layer)} are packed in an object that "
            "torch.export cannot look into; expected layers whose weights are tensors. Give the module that it was "
            "made from; for the network in integers, export that one to ONNX, and quantise the file with ONNX Runtime"
        )
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise BadArchitecture(
            f"{name} has lazy layers whose sizes are not known; expected parameters with shapes. Call the module once "
            "with its inputs"
        )


def _packed(module: torch.nn.Module) -> str:
    """The first layer with weights in an object of torch's quantised operations, as "Linear '0.fc'"; "" without one."""
    for path, part in module.named_modules():
        held = [value for value in vars(part).values() if isinstance(value, torch.ScriptObject)]
        if any(PACKED.search(value._type().qualified_name()) for value in held):
            layer = ".".join(itertools.takewhile(lambda name: not name.startswith("_"), path.split(".")))
            kind = repr(module.get_submodule(layer)).partition("(")[0]
            return f"{kind} '{layer}'" if layer else kind
    return ""


def refused(module: torch.nn.Module, error: Exception, enclosed: Enclosed) -> BadArchitecture:
    """The error to raise for one of ``torch.export``."""
    if isinstance(error, BadArchitecture):
        return error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if isinstance(error, GuardOnDataDependentSymNode):
        reason = "a size or a decision that depends on values of a tensor"
    text = f"{type(error).__name__} {error}"
    expected = next((remedy for words, remedy in REMEDIES if re.search(words, text)), REMEDIES[-1][1])
    given = ", ".join(
        f"{name} {'x'.join(map(str, tensor.shape)) or 'scalar'} {str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in zip(enclosed.names, enclosed.tensors, strict=True)
    )
    if not given:
        given = "no tensor"
        expected = f"torch tensors as inputs, such as torch.zeros(1, 3, 224, 224), or {expected}"
    return BadArchitecture(
        f"torch.export cannot trace {described(module)} on {printable(given)}: found {printable(reason).rstrip('.')}"
        f"{_place(error)}; expected {expected}"
    )


def _place(error: Exception) -> str:
    """The last line of code outside of torch that the error passed: ' at net.py, line 12 ("if x.sum() > 0:")'."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(OWN):
            code = printable((frame.line or "")[:LINE])
            return f" at {printable(Path(frame.filename).name)}, line {frame.lineno}" + (f" ({code!r})" if code else "")
    return ""
