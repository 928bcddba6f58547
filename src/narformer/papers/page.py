"""A table as measured, for people (Markdown) and for programs (JSON): both made from the stored runs alone."""

from collections.abc import Iterable
from pathlib import Path

from narformer.papers.results import Cell, TableResult, Values, assemble
from narformer.papers.tables import TABLES, Metric, Score, read_table
from narformer.training.runs import write_whole

METRICS: dict[Metric, str] = {
    "kendall_tau": "Kendall's τ-b, larger is better",
    "milliseconds": "Milliseconds, smaller is better",
    "error": "Mean absolute percentage error, smaller is better",
    "within": "Percentage of networks whose prediction is off by at most the stated error, larger is better",
}

STATUSES: dict[Metric, str] = {
    "kendall_tau": "*reproduced*: our mean is at least the printed number less 0.01; *near*: less 0.03; *off*: lower. "
    "Our own system is *ahead* of the best printed number of the column, or *behind* it",
    "milliseconds": "*reproduced*: at most a tenth above the printed time; *near*: at most twice; *off*: longer",
    "error": "*reproduced*: at most a tenth above the printed error; *near*: at most a half; *off*: larger. "
    "Our own system is *ahead* of the best printed number of the column, or *behind* it",
    "within": "*reproduced*: at least the printed percentage less one point; *near*: less three; *off*: lower",
}
DIGITS: dict[Metric, int] = {"kendall_tau": 3, "milliseconds": 4, "error": 2, "within": 2}

OTHER_DATA = (
    "*other data*: the numbers were printed for other networks on another device, which are not available. They "
    "show the differences between the systems there and here; they must not be compared one by one"
)

SCORES: dict[Score, tuple[str, str]] = {
    "tau_valid": (
        "τ(valid)",
        "against the validation labels of all cells. These labels themselves reach only τ = 0.888 against the test "
        "labels (0.892 after averaging equal cells), so a printed number above that is out of reach for systems "
        "trained on them; it can be compared with this column only",
    ),
    "coverage": ("coverage", "share of the test networks whose 90 % interval contains the measured value"),
    "tau_unseen": ("τ(unseen)", "against the test labels, without the cells that were trained on or selected with"),
}


def write(result: TableResult, results: Path) -> tuple[Path, Path]:
    """Write ``<results>/<paper>_<table>.json`` and ``.md``; the same stored runs always give the same bytes."""
    stem = result.table.name.replace("/", "_")
    json_file, page = results / f"{stem}.json", results / f"{stem}.md"
    write_whole(json_file, result.model_dump_json(indent=1, exclude={"table": {"rows"}}) + "\n")
    write_whole(page, markdown(result))
    return json_file, page


def write_all(results: Path) -> list[Path]:
    """Write every table: a run of a shared row may belong to several."""
    return [path for name in TABLES for path in write(assemble(read_table(name), results), results)]


def markdown(result: TableResult) -> str:
    """The whole page."""
    table = result.table
    metrics = list(dict.fromkeys(map(table.metric_of, table.columns)))
    parts = [
        f"# {table.number}: {table.title}",
        f"{table.paper}. `narformer table {table.name}`",
        f"{'. '.join(METRICS[metric] for metric in metrics)}. The printed number stands first, then **ours**; a number "
        "alone is printed only.",
        _overview(result),
    ]
    parts += [f"{sign} {text}" for sign, text in table.footnotes.items()]
    statuses = [OTHER_DATA] if table.other_data else [STATUSES[metric] for metric in metrics]
    parts += ["## Runs", _runs(result), f"{'. '.join(statuses)}. Mean ± standard deviation over the seeds."]
    parts += [f"{SCORES[score][0]}: {SCORES[score][1]}." for score in table.also]
    parts += table.notes
    if result.differences:
        parts.append("## Where our runs differ from the print")
        if table.metric != "milliseconds":
            parts.append("Keys of the recipe are given as ours (original). The protocols are in `docs/protocols.md`.")
        for system, sentences in result.differences.items():
            parts.append("\n".join([f"**{system}**", "", *(f"- {sentence}" for sentence in sentences)]))
    machines = sorted({machine for cell in result.cells for machine in cell.machine})
    if machines:
        parts += ["## Machine" + "s" * (len(machines) > 1), "\n".join(f"- {machine}" for machine in machines)]
    return "\n\n".join(parts) + "\n"


def _overview(result: TableResult) -> str:
    table = result.table
    backbones = any(row.backbone for row in table.rows)
    lines = []
    for row in table.rows:
        cells = [result.cell(row.system, column.key) for column in table.columns]
        lines.append([*([row.backbone or ""] * backbones), row.system + row.mark, *map(_both, cells)])
    titles = [*(["Backbone"] * backbones), "System", *(column.heading for column in table.columns)]
    if table.transposed:
        titles, *lines = map(list, zip(titles, *lines, strict=True))
    return _grid(titles, lines)


def _both(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    printed = _printed(cell)
    if not cell.runs_here:
        return printed
    ours = "not run" if cell.mean is None else f"**{_spread(cell, cell.metric)}** {cell.status}"
    return ours if cell.printed is None else f"{printed} · {ours}"


def _runs(result: TableResult) -> str:
    table = result.table
    headings = {column.key: column.heading for column in table.columns}
    titles = ["System", "Column", "Printed", "Ours", *(SCORES[score][0] for score in table.also)]
    lines = []
    for cell in result.cells:
        if not cell.runs_here:
            continue
        more = [_spread(cell.also[score], cell.metric) if score in cell.also else "–" for score in table.also]
        lines.append(
            [
                cell.system,
                headings[cell.column],
                _printed(cell),
                _spread(cell, cell.metric),
                *more,
                ", ".join(map(str, cell.seeds)) or "–",
                "–" if cell.seconds is None else f"{cell.seconds:,.0f}",
                "–" if cell.seconds_scoring is None else f"{cell.seconds_scoring:,.0f}",
                cell.status,
                f"{cell.recipe} {cell.recipe_hash}" if cell.recipe else "–",
            ]
        )
    return _grid([*titles, "Seeds", "Training (s)", "Scoring (s)", "Status", "Recipe"], lines)


def _printed(cell: Cell) -> str:
    return "–" if cell.printed is None else _number(cell.printed, cell.metric) + cell.printed_mark


def _spread(values: Values | Cell, metric: Metric) -> str:
    if values.mean is None:
        return "–"
    sd = "" if values.sd is None else f" ± {_number(values.sd, metric)}"
    return _number(values.mean, metric) + sd


def _number(value: float, metric: Metric) -> str:
    return f"{value:.{DIGITS[metric]}f}"


def _grid(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    rows = [titles, ["---"] * len(titles), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
