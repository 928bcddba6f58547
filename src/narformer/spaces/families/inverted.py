"""The block of the mobile families: expand by 1x1, one kernel for each channel, gate the channels, project by 1x1.

Sandler et al. 2018 (inverted residual), Hu et al. 2018 (squeeze and excitation).
"""

from dataclasses import dataclass

from narformer.spaces.families.variation import VariedDrawing


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block. ``hidden``: expanded width, 0 without one; ``gate``: squeezed width of the gate, 0 without one.

    ``residual`` blocks have the width of their input; ``activations`` stand after the expansion and in the gate.
    """

    hidden: int
    width: int
    kernel: int
    stride: int
    residual: bool
    activation: str
    gate: int = 0
    squeeze_activation: str = "Relu"
    gate_activation: str = "Sigmoid"
    epsilon: float = 1e-5


def inverted_residual(net: VariedDrawing, x: int, block: Block) -> int:
    """Draw one block; its kernels vary, its widths are those of the block."""
    y = x
    if block.hidden:
        y = net.batch_norm(net.varied(y, block.hidden, 1), block.epsilon)
        y = net.activation(block.activation, y)
    y = net.batch_norm(net.varied_depthwise(y, block.kernel, block.stride), block.epsilon)
    y = net.activation(block.activation, y)
    if block.gate:
        y = _gated(net, y, block)
    y = net.batch_norm(net.varied(y, block.width, 1), block.epsilon)
    return net.add(y, x) if block.residual else y


def _gated(net: VariedDrawing, x: int, block: Block) -> int:
    """Both convolutions read one value for each channel, so their kernels do not vary."""
    squeezed = net.conv(net.global_pool(x), block.gate, 1, bias=True)
    gate = net.conv(net.activation(block.squeeze_activation, squeezed), net.shape(x)[1], 1, bias=True)
    if block.gate_activation == "HardSigmoid":
        return net.multiply(x, net.op("HardSigmoid", net.shape(gate), gate, alpha=1 / 6, beta=0.5))
    return net.multiply(x, net.same(block.gate_activation, gate))
