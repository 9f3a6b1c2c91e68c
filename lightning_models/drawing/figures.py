"""Figures drawn with matplotlib, as pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Curve = tuple[Sequence[float], Sequence[float]]  # x and y
DPI = 110
MOST_CLASSES_WITH_NUMBERS = 20  # beyond, they would not be readable


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    """A figure of a size in inches that belongs to no window system; matplotlib takes 0.3 s to import."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout, dpi=DPI)


def to_image(figure: "Figure") -> Image.Image:
    """The figure as an RGB picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def confusion_figure(matrix: Tensor, class_names: Sequence[str], title: str = "") -> Image.Image:
    """Counts and, beside them, the share of each true class (row) that was taken for each class (column).

    `matrix` is (classes, classes), whole numbers, a row a true class. A class without images has an empty row.
    """
    counts = matrix.cpu().numpy()
    images = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, images, out=np.full(counts.shape, np.nan), where=images > 0)
    # Laid out by hand, in inches: constrained layout would double the time of a figure that each validation draws.
    side = max(3.6, 0.36 * len(class_names))
    margin = 0.7 + 0.075 * max(map(len, class_names))
    turned = max(map(len, class_names)) > 2
    below = margin if turned else 0.6
    width, height = 2 * (side + margin) + 0.2, side + below + 0.75
    figure = new_figure(width, height, layout=None)
    figure.text(0.5, 1 - 0.2 / height, title, ha="center", va="center")
    panels = (("items", counts, None), ("share of the true class", shares, 1.0))
    for panel, (label, values, highest) in enumerate(panels):
        left = (panel + 1) * margin + panel * side
        axes = figure.add_axes((left / width, below / height, side / width, side / height))
        axes.imshow(values, cmap="Blues", vmin=0, vmax=highest, aspect="auto")
        axes.set_xticks(range(len(class_names)), class_names, rotation=90 if turned else 0)
        axes.set_yticks(range(len(class_names)), class_names)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(label, fontsize=10)
        if len(class_names) <= MOST_CLASSES_WITH_NUMBERS:
            write_cells(axes, values, counts, (highest or counts.max()) / 2)
    return to_image(figure)


def write_cells(axes: "Axes", values: "NDArray[Any]", counts: "NDArray[Any]", middle: float) -> None:
    """The number of each cell in which there is something; white on cells above `middle`, which are dark."""
    for (row, column), value in np.ndenumerate(values):
        if counts[row, column]:
            text = f"{value:,}" if values is counts else percent(value)
            colour = "white" if value > middle else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)


def curves_figure(panels: Mapping[str, Mapping[str, Curve]], x_label: str = "epoch") -> Image.Image:
    """A panel for each quantity, in it a curve for each name: {"loss": {"train": (epochs, losses), "val": ...}}."""
    width, height = 4.8 * len(panels), 3.6
    figure = new_figure(width, height, layout=None)  # by hand: constrained layout would take half of the time
    figure.subplots_adjust(0.6 / width, 0.5 / height, 1 - 0.15 / width, 1 - 0.35 / height, wspace=0.2)
    for axes, (quantity, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, (x, y) in curves.items():
            axes.plot(x, y, label=name, marker="o" if len(x) < 30 else None, markersize=3)
        axes.set(title=quantity, xlabel=x_label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return to_image(figure)


def percent(share: float) -> str:
    """A share in a small cell: neither 0 nor 1 where it is not."""
    if share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"
