"""The chart of README: server CPU of an act, casework beside its twins, readable on light and dark pages."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report import CASEWORK, ENGINES, TWINS
from bench.results import Results

_SHOWN = {"open": "open a case", "list": "list 50", "save": "save a follow-up"}
# Seen on white and on black alike.
_GREY = "#7d8590"
_COLOURS = {
    CASEWORK: "#d1495b",
    "core_plain": "#2e86c1",
    "core_same_layer": "#76b5d9",
    "fastapi_orm": "#27a567",
    "drf": "#b8860b",
}


def draw(results: Results, path: Path) -> None:
    """Write the chart as an SVG without a background, its letters as shapes."""
    settings = {"svg.fonttype": "path", "svg.hashsalt": "casework", "font.size": 9, "text.color": _GREY}
    with mpl.rc_context(settings):
        engines = [engine for engine in ENGINES if engine in results.figures]
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        panels = figure.subplots(1, len(engines), sharey=True, squeeze=False)[0]
        for panel, engine in zip(panels, engines, strict=True):
            _panel(panel, results, engine)
        panels[0].set_ylabel("ms of server CPU", color=_GREY)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(_COLOURS), frameon=False)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})


def _panel(panel: Axes, results: Results, engine: str) -> None:
    width = 0.8 / len(_COLOURS)
    for place, (name, colour) in enumerate(_COLOURS.items()):
        found = results.figures[engine]
        heights = [found[action][name].cpu_ms if name in found.get(action, {}) else 0.0 for action in _SHOWN]
        at = [turn + (place - 2) * width for turn in range(len(_SHOWN))]
        bars = panel.bar(at, heights, width * 0.9, color=colour, label=TWINS.get(name, name))
        panel.bar_label(bars, fmt="%.1f", fontsize=7, color=_GREY)
    panel.set_title(ENGINES[engine], color=_GREY)
    panel.set_xticks(range(len(_SHOWN)), list(_SHOWN.values()))
    panel.tick_params(colors=_GREY, length=0)
    for side, spine in panel.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GREY)
    panel.grid(axis="y", color=_GREY, alpha=0.25)
    panel.set_axisbelow(True)
