"""PyTorch operations on each value: functions of one value, of two, comparisons and masks."""

from math import log
from typing import Any

from narformer.formats.torch_call import Call, Translation, scalar
from narformer.network.graph import Value

__all__ = ["ELEMENTWISE"]


def _one(kind: str, **attributes: str) -> Translation:
    """A function of one value; ``attributes`` maps attributes to the names of the arguments with their values."""

    def one(call: Call) -> Any:
        values = {name: call[argument] for name, argument in attributes.items()}
        given: dict[str, Value] = {
            name: float(value) for name, value in values.items() if isinstance(value, int | float)
        }
        return call.add(kind, [call[call.first]], **given)

    return one


def _fixed(kind: str, **attributes: Value) -> Translation:
    return lambda call: call.add(kind, [call[call.first]], **attributes)


def _chain(*kinds: str) -> Translation:
    """Functions of one value, one after the other."""

    def chain(call: Call) -> Any:
        value: Any = call[call.first]
        for kind in kinds:
            value = call.add(kind, [value])
        return value

    return chain


def _with_number(kind: str, number: float, then: str = "", turned: bool = False) -> Translation:
    """A function of one value and a number, and a further function of the result."""

    def with_number(call: Call) -> Any:
        operands = [call[call.first], scalar(number)]
        found = call.add(kind, operands[::-1] if turned else operands)
        return call.add(then, [found]) if then else found

    return with_number


def _pair(kind: str, turned: bool = False, then: str = "") -> Translation:
    """A function of two values; a Python number is a scalar constant, and ``alpha`` scales the second."""

    def pair(call: Call) -> Any:
        names = [name for name in ("self", "input", "other", "exponent") if name in call.arguments]
        operands: list[Any] = [call.operand(name) for name in names]
        alpha = call["alpha"]
        if isinstance(alpha, int | float) and alpha != 1 and kind in ("Add", "Sub"):
            if "other" in call.shapes:
                operands[1] = call.add("Mul", [operands[1], scalar(alpha)], call.shapes["other"])
            else:
                operands[1] = scalar(alpha * call["other"])
        found = call.add(kind, operands[::-1] if turned else operands)
        return call.add(then, [found]) if then else found

    return pair


def _by_type(logical: str, bitwise: str) -> Translation:
    """The first kind for truth values, the second for integers."""
    return lambda call: _pair(logical if call.type == "bool" else bitwise)(call)


def _not(call: Call) -> Any:
    return call.add("Not" if call.type == "bool" else "BitwiseNot", [call[call.first]])


def _div(call: Call) -> Any:
    mode = call["rounding_mode"]
    found = _pair("Div")(call)
    if mode == "trunc":
        return call.add("Mul", [call.add("Sign", [found]), call.add("Floor", [call.add("Abs", [found])])])
    return call.add("Floor", [found]) if mode == "floor" or call.name == "floor_divide" else found


def _square(call: Call) -> Any:
    x = call[call.first]
    return call.add("Mul", [x, x])


def _truncated(call: Call) -> Any:
    x = call[call.first]
    return call.add("Mul", [call.add("Sign", [x]), call.add("Floor", [call.add("Abs", [x])])])


def _scaled_product(kind: str) -> Translation:
    """self + value · tensor1 (kind) tensor2."""

    def scaled(call: Call) -> Any:
        product = call.add(kind, [call["tensor1"], call["tensor2"]])
        if call["value"] not in (None, 1):
            product = call.add("Mul", [product, call.operand("value")])
        return call.add("Add", [call["self"], product])

    return scaled


def _lerp(call: Call) -> Any:
    step = call.add("Mul", [call.add("Sub", [call["end"], call["self"]]), call.operand("weight")])
    return call.add("Add", [call["self"], step])


def _where(call: Call) -> Any:
    return call.add("Where", [call["condition"], call.operand("self"), call.operand("other")])


def _masked_fill(call: Call) -> Any:
    return call.add("Where", [call["mask"], call.operand("value"), call["self"]])


def _clip(least: str, most: str) -> Translation:
    def clip(call: Call) -> Any:
        value: Any = call["self"]
        for name, kind in ((least, "Max"), (most, "Min")):
            if name in call.shapes:
                value = call.add(kind, [value, call[name]])
        plain = {"min": call[least] if least not in call.shapes else None,
                 "max": call[most] if most not in call.shapes else None}  # fmt: skip
        bounds = {name: float(bound) for name, bound in plain.items() if bound is not None}
        return call.add("Clip", [value], **bounds) if bounds else value

    return clip


def _elu(call: Call) -> Any:
    return call.add("Elu", [call["self"]], alpha=float(call["alpha"]))


def _gelu(call: Call) -> Any:
    return call.add("Gelu", [call["self"]], approximate=str(call["approximate"] or "none"))


def _finite(call: Call) -> Any:
    x = call[call.first]
    return call.add("Not", [call.add("Or", [call.add("IsInf", [x]), call.add("IsNaN", [x])])])


def _polar(call: Call) -> Any:
    """Real and imaginary part, stored side by side."""
    parts = [call.add("Mul", [call["abs"], call.add(kind, [call["angle"]])]) for kind in ("Cos", "Sin")]
    return call.add("Concat", parts, axis=len(call.shape("abs")))


_ONES = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor",
    "hardswish": "HardSwish", "log": "Log", "mish": "Mish", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu",
    "round": "Round", "selu": "Selu", "sigmoid": "Sigmoid", "sign": "Sign", "sgn": "Sign", "silu": "Swish",
    "sin": "Sin", "sinh": "Sinh", "softplus": "Softplus", "softsign": "Softsign", "special_expit": "Sigmoid",
    "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh", "logical_not": "Not", "isnan": "IsNaN", "isinf": "IsInf",
}  # fmt: skip
_PAIRS = {
    "add": "Add", "sub": "Sub", "subtract": "Sub", "mul": "Mul", "multiply": "Mul", "pow": "Pow", "float_power": "Pow",
    "maximum": "Max", "minimum": "Min", "fmax": "Max", "fmin": "Min", "eq": "Equal", "gt": "Greater",
    "ge": "GreaterOrEqual", "lt": "Less", "le": "LessOrEqual", "remainder": "Mod", "fmod": "Mod",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip

ELEMENTWISE: dict[str, Translation] = {
    **{name: _one(kind) for name, kind in _ONES.items()},
    **{name: _pair(kind) for name, kind in _PAIRS.items()},
    **dict.fromkeys(("div", "divide", "true_divide", "floor_divide"), _div),
    **dict.fromkeys(("ne", "not_equal"), _pair("Equal", then="Not")),
    "rsub": _pair("Sub", turned=True),
    **dict.fromkeys(("bitwise_and", "__and__"), _by_type("And", "BitwiseAnd")),
    **dict.fromkeys(("bitwise_or", "__or__"), _by_type("Or", "BitwiseOr")),
    **dict.fromkeys(("bitwise_xor", "__xor__"), _by_type("Xor", "BitwiseXor")),
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift", "__lshift__", "__rshift__"), _pair("BitShift")),
    "bitwise_not": _not,
    "rsqrt": _chain("Sqrt", "Reciprocal"),
    "log_sigmoid": _chain("Sigmoid", "Log"),
    "square": _square,
    **dict.fromkeys(("trunc", "fix"), _truncated),
    "log1p": _with_number("Add", 1.0, "Log"),
    "log2": lambda call: call.add("Mul", [call.add("Log", [call[call.first]]), scalar(1 / log(2))]),
    "log10": lambda call: call.add("Mul", [call.add("Log", [call[call.first]]), scalar(1 / log(10))]),
    "exp2": _with_number("Pow", 2.0, turned=True),
    "expm1": lambda call: call.add("Sub", [call.add("Exp", [call[call.first]]), scalar(1.0)]),
    "erfc": lambda call: call.add("Sub", [scalar(1.0), call.add("Erf", [call[call.first]])]),
    "addcmul": _scaled_product("Mul"),
    "addcdiv": _scaled_product("Div"),
    "lerp": _lerp,
    "isfinite": _finite,
    "polar": _polar,
    "relu6": _fixed("Clip", min=0.0, max=6.0),
    "hardtanh": _clip("min_val", "max_val"),
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max"), _clip("min", "max")),
    "leaky_relu": _one("LeakyRelu", alpha="negative_slope"),
    "rrelu": lambda call: call.add("LeakyRelu", [call["self"]], alpha=float(call["lower"] + call["upper"]) / 2),
    "elu": _elu,
    "celu": _one("Celu", alpha="alpha"),
    "threshold": _one("ThresholdedRelu", alpha="threshold"),
    "prelu": lambda call: call.add("PRelu", [call["self"], call["weight"]]),
    "gelu": _gelu,
    "hardsigmoid": _fixed("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardshrink": lambda call: call.add("Shrink", [call["self"]], bias=0.0, lambd=float(call["lambd"])),
    "softshrink": lambda call: call.add(
        "Shrink", [call["self"]], bias=float(call["lambd"]), lambd=float(call["lambd"])
    ),
    "where": _where,
    "masked_fill": _masked_fill,
}
