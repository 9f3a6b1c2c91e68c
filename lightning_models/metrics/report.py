"""Measures of generated images as a table."""

from typing import Any

from lightning_models.metrics.catalogue import MEASURES


def table(report: dict[str, Any]) -> str:
    """A row for each measure: its value for the samples, its baseline (its value for real images), and its meaning."""
    accuracy = report["accuracy"]
    correct = f", {accuracy:.2%} correct on test images" if accuracy is not None else ""
    other = "training" if report["real_images"] == "test" else "held-out"
    lines = [
        f"quality      {report['n_fake']:,} samples against {report['n_real']:,} {report['real_images']} images, "
        f"seed {report['seed']}",
        f"features     {report['description']}{correct} (sha256 {report['sha256'][:12]})",
        f"baseline     as many {other} images in place of the samples" if report["baseline"] else "baseline     none",
        "",
        f"  {'measure':18} {'samples':>17} {'baseline':>17}   should be",
    ]
    values, baseline = report["values"], report["baseline"]
    for name, measure in MEASURES.items():
        if name in values:
            shown = f"{name}_{report['network']}" if name in ("fid", "kid") else name
            numbers = f"{spread(values, name):>17} {spread(baseline, name):>17}"
            lines.append(f"  {shown:18} {numbers}   {measure.goal}: {measure.meaning}")
    lines += [f"  not measured  {problem}" for problem in report["problems"]]
    return "\n".join(lines)


def spread(values: dict[str, float], name: str) -> str:
    """`1.5 +- 0.2`; an empty text if it was not measured."""
    if name not in values:
        return ""
    return number(values[name]) + (f" +- {values[f'{name}_std']:.2g}" if f"{name}_std" in values else "")


def number(value: float) -> str:
    """`value` with four significant digits; whole numbers from 2 up without decimals."""
    return f"{value:.0f}" if value == round(value) and abs(value) >= 2 else f"{value:.4g}"
