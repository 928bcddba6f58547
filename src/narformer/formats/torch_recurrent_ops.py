"""PyTorch's recurrent layers and cells as the operations LSTM, GRU and RNN of ONNX, one for each layer."""

from collections.abc import Sequence
from typing import Any

from narformer.formats.builder import Constant, Shape
from narformer.formats.torch_call import Call, Lazy, NotTranslated, Translation, joined, known

__all__ = ["RECURRENT"]

SLOTS = {"w": 1, "r": 2, "b": 3, "h": 5, "c": 6, "p": 8}  # of ONNX; the last one is torch's projection of the state


def _weights(params: Sequence[Any], shapes: Sequence[Shape | None], both: int, names: str) -> list[Any]:
    """The operands of one layer from slot 1 on; torch lists ``names`` for each direction."""
    if not all(isinstance(param, Constant) for param in params):
        raise NotTranslated
    found: list[Any] = [None] * 8
    for name in dict.fromkeys(names):
        places = [d * len(names) + k for d in range(both) for k, own in enumerate(names) if own == name]
        sizes = [known(shapes[place]) for place in places]
        rows = sum(size[0] for size in sizes) // both
        found[SLOTS[name] - 1] = joined([params[place] for place in places], (both, rows, *sizes[0][1:]))
    return found


def _state(call: Call, name: str, number: int) -> tuple[Any, Shape]:
    """One tensor of the initial state and its shape: an argument that is a tensor, or a list of tensors."""
    value = call[name]
    return (value[number], known(call.listed(name)[number])) if isinstance(value, list) else (value, call.shape(name))


def _of_layer(call: Call, layer: int, both: int, states: int) -> list[Any]:
    """The initial states of one layer; None for a constant that is not stored, which is zero."""
    found: list[Any] = []
    for number in range(states):
        state, shape = _state(call, "hx", number)
        if isinstance(state, int) and call["num_layers"] > 1:
            state = call.cut(state, shape, 0, layer * both, (layer + 1) * both)
        found.append(None if isinstance(state, Constant) and not state.tensors else state)
    return found


def _layers(kind: str) -> Translation:
    """(steps, batch, features) in, (steps, directions, batch, hidden) out."""
    states = 2 if kind == "LSTM" else 1

    def layers(call: Call) -> list[Any]:
        first, x, shape = bool(call["batch_first"]), call["input"], call.shape("input")
        steps, batch = (shape[1], shape[0]) if first else shape[:2]
        both, count = 2 if call["bidirectional"] else 1, call["num_layers"]
        hidden, width = known(call.out[-1])[-1], known(call.out[1])[-1]
        if first:
            x = call.add("Transpose", [x], (steps, batch, shape[2]), perm=(1, 0, 2))
        size = len(call["params"]) // count
        names = "wr" + ("bb" if call["has_biases"] else "") + ("p" if width != hidden else "")
        vertices = []
        for layer in range(count):
            part = slice(layer * size, (layer + 1) * size)
            operands = [x, *_weights(call["params"][part], call.listed("params")[part], both, names)]
            operands[5 : 5 + states] = _of_layer(call, layer, both, states)
            vertices.append(
                call.add(
                    kind,
                    operands,
                    (steps, both, batch, width),
                    hidden_size=hidden,
                    projection_size=width if width != hidden else None,
                    direction="bidirectional" if both == 2 else "forward",
                    bias=int(call["has_biases"]),
                    linear_before_reset=1 if kind == "GRU" else None,
                )
            )
            y = call.add("Transpose", vertices[-1:], (steps, batch, both, width), perm=(0, 2, 1, 3))
            x = call.add("Reshape", [y], (steps, batch, both * width))

        def final(k: int) -> Any:
            last = (both, batch, call.out[k][-1])
            parts = [call.add("Take", [vertex], last, index=k) for vertex in vertices]
            return call.add("Concat", parts, call.out[k], axis=0)

        out = call.add("Transpose", [x], call.out[0], perm=(1, 0, 2)) if first else x
        return [out, *(Lazy(final, (k,)) for k in range(1, len(call.out)))]

    return layers


def _cell(kind: str) -> Translation:
    """One step of a layer: (batch, features) in, (batch, hidden) out."""
    states = 2 if kind == "LSTM" else 1

    def cell(call: Call) -> Any:
        batch, features = call.shape("input")
        outs = call.out if isinstance(call.out, list) else [call.out]
        hidden = known(outs[0])[-1]
        names = [name for name in ("w_ih", "w_hh", "b_ih", "b_hh") if call[name] is not None]
        params, shapes = [call[name] for name in names], [call.shape(name) for name in names]
        operands = [
            call.add("Reshape", [call["input"]], (1, batch, features)),
            *_weights(params, shapes, 1, "wrbb"[: len(names)]),
        ]
        for number in range(states):
            state, _ = _state(call, "hx", number)
            if isinstance(state, int):
                operands[5 + number] = call.add("Reshape", [state], (1, batch, hidden))
            elif isinstance(state, Constant) and state.tensors:
                operands[5 + number] = state
        vertex = call.add(
            kind,
            operands,
            (1, 1, batch, hidden),
            hidden_size=hidden,
            direction="forward",
            bias=int(len(names) > 2),
            linear_before_reset=1 if kind == "GRU" else None,
        )
        out = call.add("Reshape", [vertex], outs[0])
        return [out, Lazy(_cell_state, (call, vertex))] if isinstance(call.out, list) else out

    return cell


def _cell_state(call: Call, vertex: int) -> Any:
    shape = call.out[1]
    return call.add("Reshape", [call.add("Take", [vertex], (1, *shape), index=2)], shape)


RECURRENT: dict[str, Translation] = {
    "lstm": _layers("LSTM"),
    "gru": _layers("GRU"),
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), _layers("RNN")),
    "lstm_cell": _cell("LSTM"),
    "gru_cell": _cell("GRU"),
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), _cell("RNN")),
}
