"""The command that measures."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from narformer.cli.terminal import Json, amount, bars_shown, err, out, print_json, sizes
from narformer.errors import NarformerError, NotMeasured

if TYPE_CHECKING:
    from narformer.jobs import Measured, Measurement

Place = Annotated[
    str | None,
    typer.Option(
        "--store", help="A file, or postgresql://…; by default NARFORMER_STORE, or a file in your user data folder."
    ),
]
Dims = Annotated[
    list[str] | None, typer.Option("--dim", help="Size of a dimension that a file names: batch=1; may be repeated.")
]
Profile = Annotated[
    Path | None,
    typer.Option(help="A file that `measure --profile` wrote: show the measured times of the layers, too."),
]
Shapes = Annotated[
    list[str] | None, typer.Option("--input", help="Shape of an input: image:1x3x224x224; may be repeated.")
]


def bound(dim: list[str] | None, input_: list[str] | None) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """The values of ``--dim`` and ``--input``: name -> size, and name -> shape."""
    dims, shapes = sizes(dim or [], "=", "--dim", "batch=1"), sizes(input_ or [], ":", "--input", "x:1x3x224x224")
    return {name: shape[0] for name, shape in dims.items()}, shapes


def measure(
    nets: Annotated[list[str], typer.Argument(help="ONNX files, or networks of families, such as resnet/0.")],
    runtime: Annotated[
        list[str] | None, typer.Option(help="ort (by default), openvino, or openvino-float32; may be repeated.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of a network.", min=1)] = 1,
    repeats: Annotated[int, typer.Option(help="Timed runs of each network, shared by the rounds.", min=1)] = 30,
    rounds: Annotated[int, typer.Option(help="Rounds in which the networks take turns.", min=1)] = 3,
    warmup: Annotated[int, typer.Option(help="Untimed runs before each round.", min=0)] = 2,
    device: Annotated[str, typer.Option(help="Name of this machine; by default that of its CPU.")] = "",
    dim: Dims = None,
    input_: Shapes = None,
    store: Place = None,
    profile: Annotated[
        Path | None,
        typer.Option(help="Profile the networks on ONNX Runtime, too, and write the time of each node to this file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time networks on this machine, and keep every time in a store.

    Several networks take turns, so that a slow period of the machine affects all of them alike.
    Times are stored after the last round. After Ctrl-C, those of the completed rounds are stored.
    A network that fails does not stop the others. All that failed are named at the end.
    --profile keeps the time of each node. `inspect --profile` and `predict --profile` show it by layers.

    Example: narformer measure model.onnx resnet/0 --runtime ort --runtime openvino --dim batch=1
    """
    runtimes = runtime or ["ort"]
    _check(device, runtimes, profile)
    dims, shapes = bound(dim, input_)
    from narformer import jobs

    found: list[Measured] = []
    plan = jobs.Plan(threads, repeats, rounds, warmup, profile is not None)
    failure: NarformerError | None = None
    interrupted = False
    with bars_shown(still=True) as bars:
        try:
            for measured in jobs.measure(nets, runtimes, plan, device, dims, shapes, store, bars):
                found.append(measured)  # noqa: PERF402 - those before an error stay
        except NarformerError as error:  # complete measurements are kept, and shown first
            failure = error
        except KeyboardInterrupt:
            interrupted = True
    failed = failure.failures if isinstance(failure, NotMeasured) else ()
    if as_json and (found or failed or not failure):
        _print_json(found, failed)
    elif found:
        _print_measured(found)
    _keep_profiles(found, profile, as_json)
    if failure:
        raise failure
    if interrupted:
        wanted = len(nets) * len(set(runtimes))
        err.print(
            f"interrupted: {len(found)} of {wanted} networks have times; they are shown and kept", highlight=False
        )
        sys.exit(130)


def _check(device: str, runtimes: Sequence[str], profile: Path | None) -> None:
    """Refuse, before anything is measured, a name that is no line, and a profile that cannot be taken or kept."""
    if not device.isprintable():
        raise typer.BadParameter("a name is one line of printable characters", param_hint="--device")
    if profile is None:
        return
    if "ort" not in runtimes:
        raise typer.BadParameter("only ort tells the time of each node: add --runtime ort", param_hint="--profile")
    if profile.is_dir() or not profile.parent.is_dir():
        raise typer.BadParameter(f"found {profile}; expected a file in a folder that exists", param_hint="--profile")


def _print_json(found: Sequence["Measured"], failed: Sequence[tuple[str, str, str]]) -> None:
    told = [dict(zip(("network", "runtime", "reason"), entry, strict=True)) for entry in failed]
    print_json({"measurements": [facts(m.measurement) | _derived(m) for m in found], "failed": told})


def _keep_profiles(found: Sequence["Measured"], path: Path | None, quiet: bool) -> None:
    from narformer import jobs

    profiles = [measured.profile for measured in found if measured.profile is not None]
    if path is not None and profiles:
        jobs.write_profiles(path, profiles)
        if not quiet:
            out.print(Text(f"profiled in {path}", style="dim"), soft_wrap=True)


def facts(m: "Measurement") -> dict[str, Any]:
    """All fields of a measurement, and its median, interval and spread, for JSON.

    Those of a latency are in milliseconds, as their names state; those of another quantity are in its unit.
    """
    if _is_latency(m):
        middle = {"median_ms": m.median_ms, "interval_ms": m.interval_ms()}
    else:
        middle = {"median": m.median, "interval": m.interval()}
    return dataclasses.asdict(m) | middle | {"spread": m.spread}


def middle(m: "Measurement") -> str:
    """The median, in the unit that ``unit`` returns."""
    return four_digits(m.median_ms if _is_latency(m) else m.median)


def interval(m: "Measurement") -> str:
    """'7.21–7.34', or '?' where there are too few values."""
    bounds = m.interval_ms() if _is_latency(m) else m.interval()
    return "?" if bounds is None else "–".join(map(four_digits, bounds))


def unit(m: "Measurement") -> str:
    """The unit that values are shown in: milliseconds of a latency."""
    return "ms" if _is_latency(m) else m.unit


def four_digits(value: float) -> str:
    """A value with four significant digits."""
    return f"{value:,.0f}" if value >= 9999.5 else f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def _is_latency(m: "Measurement") -> bool:
    return bool(m.quantity == "latency")


def _derived(measured: "Measured") -> dict[str, Any]:
    return {
        "flops": measured.flops,
        "gflops_per_s": measured.gflops_per_s,
        "uncounted": measured.uncounted,
        "unstable": measured.doubts,
        "kept_in": measured.kept_in,
    }


def runtime_and_precision(m: "Measurement") -> Text:
    """'openvino bfloat16'."""
    return Text(f"{m.runtime} {m.dtype}")


def shared_and_differing(measurements: Sequence["Measurement"]) -> tuple[Text, list[str]]:
    """The settings that all measurements share, as text; and the names of those that differ, which become columns.

    If all measurements are latencies on the CPU alone, neither is mentioned.
    """
    names = ("quantity", "threads", "batch", "device", "accelerator")
    values = {name: {_setting(m, name) for m in measurements} for name in names}
    same = {name: found.pop() for name, found in values.items() if len(found) == 1}
    words = [measurements[0].quantity] if "quantity" in same and not _is_latency(measurements[0]) else []
    words += [same[name] for name in ("device", "accelerator") if same.get(name)]
    words += [f"{same['threads']} {'thread' if same['threads'] == '1' else 'threads'}"] if "threads" in same else []
    words += [f"batch {same['batch']}"] if "batch" in same else []
    return Text(", ".join(words)), [name for name in values if name not in same]


def differing_cells(m: "Measurement", columns: Sequence[str]) -> list[Text]:
    """The cells of a measurement in the columns that ``shared_and_differing`` returns."""
    return [Text(_setting(m, name) or "CPU") for name in columns]  # no accelerator: the CPU


def _setting(m: "Measurement", name: str) -> str:
    if name == "quantity":
        return f"{m.quantity}, {unit(m)}".removesuffix(", ")
    return m.device.removesuffix(f", {m.dtype}") if name == "device" else str(getattr(m, name))


def _print_measured(found: Sequence["Measured"]) -> None:
    title, columns = shared_and_differing([measured.measurement for measured in found])
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("network", "runtime", *columns):
        table.add_column(heading, overflow="fold")
    for heading in ("median\nms", "95 %\ninterval", "spread", "FLOPs", "GFLOP/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for measured in found:
        m = measured.measurement
        table.add_row(
            Text(m.name),
            runtime_and_precision(m),
            *differing_cells(m, columns),
            middle(m),
            interval(m),
            f"{m.spread:.1%}",
            amount(measured.flops),
            f"{measured.gflops_per_s:.3g}",
        )
    out.print(table)
    _print_doubts(found)
    out.print(Text(f"kept in {found[0].kept_in}", style="dim"), soft_wrap=True)


NAMED = 3  # most networks named with a reason; if there are more, only their number is shown


def _print_doubts(found: Sequence["Measured"]) -> None:
    """Reasons not to trust the numbers, each once, with the networks that it applies to."""
    of: dict[str, list[str]] = {}
    for measured in found:
        m, reasons = measured.measurement, list(measured.doubts)
        if measured.uncounted:
            reasons.append(f"its FLOPs are too few: {measured.uncounted} operations have no counting rule")
        for reason in reasons:
            of.setdefault(reason, []).append(f"{m.name} {m.runtime}")
    for reason, names in of.items():
        which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} measurements"
        out.print(Text(f"{which}: {reason}", style="yellow"), soft_wrap=True)
