"""Charts as inline SVG from plain numbers: no script, no inline style, readable at any width.

Places along the x axis are percentages and texts are in pixels, so that a chart grows with its column while its words
keep their size. Colours are classes of the style sheet; a second series is hatched as well, and what a chart says is
also in the table that the template puts below it. Every text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

HEIGHT: Final = 200
_TOP: Final = 12
_FLOOR: Final = HEIGHT - 24  # where the x axis is; its labels are below
_LEFT: Final = 8.0  # per cent: room for the labels of the y axis
_ROW: Final = 40
_MAX_LABEL: Final = 34
_MAX_X_LABELS: Final = 4
_SERIES: Final = 6  # how many classes s1 … s6 the style sheet has
_SCALES: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "k"))


@dataclass(frozen=True, slots=True)
class Scale:
    """A y axis that begins at 0: its top and the values at which it is marked."""

    top: int
    ticks: tuple[int, ...]

    @classmethod
    def of(cls, maximum: float, wanted: int = 4) -> Scale:
        """Choose steps of 1, 2 or 5 times a power of ten, whole numbers only, that reach over ``maximum``."""
        if not math.isfinite(maximum) or maximum <= 0:
            return cls(1, (0, 1))
        rough = maximum / wanted
        power = 10.0 ** math.floor(math.log10(rough))
        step = max(1, round(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)))
        count = math.ceil(maximum / step)
        return cls(step * count, tuple(step * index for index in range(count + 1)))


def short(value: float) -> str:
    """Write a count so that it fits beside an axis: 950, 1.2k, 34k, 5M."""
    for size, unit in _SCALES:
        if value >= size:
            scaled = value / size
            text = f"{scaled:.1f}" if scaled < 10 else f"{scaled:.0f}"
            return f"{text.removesuffix('.0')}{unit}"
    return f"{value:.0f}"


def grouped(value: int) -> str:
    """Write a count out, thousands apart by a narrow space."""
    return f"{value:,}".replace(",", "\u202f")


def cut(text: str, length: int = _MAX_LABEL) -> str:
    """Shorten a label in the middle of nothing: its end gives way to an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _svg(identifier: str, title: str, description: str, height: int, *parts: Markup, kind: str) -> Markup:
    return Markup(
        '<svg class="chart {kind}" role="img" width="100%" height="{height}" aria-labelledby="{id}-t" '
        'aria-describedby="{id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>'
        '<g aria-hidden="true">{body}</g></svg>'
    ).format(kind=kind, height=height, id=identifier, title=title, description=description, body=Markup("").join(parts))


def _hatch(identifier: str) -> Markup:
    return Markup(
        '<defs><pattern id="{0}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" class="hatch-ground"/>'
        '<rect width="3" height="6" class="hatch-line"/></pattern></defs>'
    ).format(identifier)


def _painted(identifier: str, series: int) -> Markup:
    """Return the attributes that give a series its look: the second is hatched, for whoever sees no colours."""
    if series == 1:
        return Markup('class="hatched" fill="url(#{0}-hatch)"').format(identifier)
    return Markup('class="s{0}"').format(series % _SERIES + 1)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _grid(scale: Scale) -> list[Markup]:
    parts = []
    for tick in scale.ticks:
        y = _number(_FLOOR - (_FLOOR - _TOP) * tick / scale.top)
        line = Markup('<line class="{2}" x1="{0}%" x2="100%" y1="{1}" y2="{1}"/>')
        parts.append(line.format(_number(_LEFT), y, "axis" if tick == 0 else "rule"))
        label = Markup('<text class="tick end" x="{0}%" dx="-6" y="{1}" dy="4">{2}</text>')
        parts.append(label.format(_number(_LEFT), y, short(tick)))
    return parts


def _x_labels(labels: Sequence[str], *, centred: bool) -> list[Markup]:
    """Mark at most four places, the first and the last among them."""
    count = len(labels)
    shown = min(count, _MAX_X_LABELS)
    places = sorted({round(index * (count - 1) / max(1, shown - 1)) for index in range(shown)}) if count else []
    parts = []
    for place in places:
        x = _LEFT + (100 - _LEFT) * ((place + 0.5) / count if centred else place / max(1, count - 1))
        side = "start" if place == 0 and count > 1 else "end" if place == count - 1 and count > 1 else "middle"
        text = Markup('<text class="tick {0}" x="{1}%" y="{2}">{3}</text>')
        parts.append(text.format(side, _number(x), HEIGHT - 6, cut(labels[place], 14)))
    return parts


def _said(title: str, names: Sequence[str], labels: Sequence[str], values: Sequence[Sequence[int]]) -> str:
    """Put into a sentence what somebody who looks sees first."""
    sums = ", ".join(f"{name} {grouped(sum(series))}" for name, series in zip(names, values, strict=True))
    span = f" from {labels[0]} to {labels[-1]}" if labels else ""
    return f"{title}{span}. In all: {sums}. The table below has every number."


def columns(
    identifier: str, title: str, labels: Sequence[str], names: Sequence[str], values: Sequence[Sequence[int]]
) -> Markup:
    """Draw columns, one for each label and, side by side, each name; ``values`` has a list of numbers for each name."""
    scale = Scale.of(max((max(series, default=0) for series in values), default=0))
    parts = [_hatch(identifier), *_grid(scale)]
    wide = (100 - _LEFT) / max(1, len(labels))
    each = wide * 0.76 / max(1, len(names))
    for index, label in enumerate(labels):
        for number, (name, series) in enumerate(zip(names, values, strict=True)):
            if series[index] <= 0:
                continue
            height = max(2.0, (_FLOOR - _TOP) * series[index] / scale.top)
            bar = Markup('<rect {0} x="{1}%" y="{2}" width="{3}%" height="{4}"><title>{5}</title></rect>')
            said = f"{label}: {name} {grouped(series[index])}"
            x = _LEFT + wide * (index + 0.12) + each * number
            size = (_number(x), _number(_FLOOR - height), _number(each), _number(height))
            parts.append(bar.format(_painted(identifier, number), *size, said))
    parts += _x_labels(labels, centred=True)
    return _svg(identifier, title, _said(title, names, labels, values), HEIGHT, *parts, kind="columns")


def area(identifier: str, title: str, labels: Sequence[str], name: str, values: Sequence[int]) -> Markup:
    """Draw one line over time with the area below it."""
    scale = Scale.of(max(values, default=0))
    parts = _grid(scale)
    if values:
        span = max(1, len(values) - 1)
        points = [
            f"{_number(100 * index / span)},{_number(100 - 100 * value / scale.top)}"
            for index, value in enumerate(values if len(values) > 1 else [values[0], values[0]])
        ]
        if len(values) == 1:
            points[1] = f"100,{points[1].partition(',')[2]}"
        drawn = Markup(
            '<svg x="{0}%" y="{1}" width="{2}%" height="{3}" viewBox="0 0 100 100" preserveAspectRatio="none">'
            '<polygon class="under" points="0,100 {4} 100,100"/>'
            '<polyline class="line" points="{4}" vector-effect="non-scaling-stroke"/></svg>'
        )
        parts.append(drawn.format(_number(_LEFT), _TOP, _number(100 - _LEFT), _FLOOR - _TOP, " ".join(points)))
    parts += _x_labels(labels, centred=False)
    return _svg(identifier, title, _said(title, [name], labels, [values]), HEIGHT, *parts, kind="area")


def bars(identifier: str, title: str, rows: Sequence[tuple[str, int]]) -> Markup:
    """Draw one horizontal bar a row, the name above it and the count at its end."""
    top = max((value for _, value in rows), default=0) or 1
    parts = []
    for index, (label, value) in enumerate(rows):
        y = index * _ROW
        row = Markup(
            '<text class="label" x="0" y="{0}">{1}<title>{2}</title></text>'
            '<text class="value end" x="100%" y="{0}">{3}</text>'
            '<rect class="track" x="0" y="{4}" width="100%" height="8" rx="4"/>'
            '<rect class="s1" x="0" y="{4}" width="{5}%" height="8" rx="4"/>'
        )
        width = _number(max(0.8, 100 * value / top)) if value > 0 else "0"
        parts.append(row.format(y + 14, cut(label), label, grouped(value), y + 22, width))
    most = max(rows, key=lambda row: row[1], default=None)
    said = f"{title}: {len(rows)} in all" + (f", most {most[0]} with {grouped(most[1])}." if most else ".")
    return _svg(identifier, title, said, max(1, len(rows)) * _ROW - 8, *parts, kind="bars")


def share(identifier: str, title: str, rows: Sequence[tuple[str, int]]) -> Markup:
    """Draw the parts of a whole as one bar; the names stand in the legend of the template, in the same order."""
    whole = sum(max(0, value) for _, value in rows)
    parts, x = [_hatch(identifier)], 0.0
    for index, (label, value) in enumerate(rows):
        if value <= 0:
            continue
        width = 100 * value / whole
        part = Markup('<rect {0} x="{1}%" y="0" width="{2}%" height="16"><title>{3}</title></rect>')
        said = f"{label}: {grouped(value)}"
        parts.append(part.format(_painted(identifier, index), _number(x), _number(width), said))
        x += width
        if x < 99.5:
            parts.append(Markup('<rect class="gap" x="{0}%" width="2" y="0" height="16"/>').format(_number(x)))
    if not whole:
        parts.append(Markup('<rect class="track" x="0" y="0" width="100%" height="16"/>'))
    said = f"{title}: " + ", ".join(f"{label} {grouped(value)}" for label, value in rows) + "."
    return _svg(identifier, title, said, 16, *parts, kind="share")


def percent(part: int, whole: int) -> str:
    """Write a part in per cent, so that only nothing reads 0 % and only all of it 100 %."""
    if part <= 0 or whole <= 0:
        return "0\u202f%"
    if part >= whole:
        return "100\u202f%"
    return f"{min(99, max(1, round(100 * part / whole)))}\u202f%"


def legend_class(index: int) -> str:
    """Return the class of a series in a legend."""
    return f"s{index % _SERIES + 1}"


__all__ = ["Scale", "area", "bars", "columns", "cut", "grouped", "legend_class", "percent", "share", "short"]
