"""Charts: right scales, whole SVG, nothing a number or a label could break out of."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycryptoutil.service.pages import charts

HOSTILE = "\"><script>alert(1)</script>&'<title>"
COUNTS = st.integers(min_value=0, max_value=10**12)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def classed(svg: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in svg.iter() if one.get("class") == name]


@pytest.mark.parametrize(
    ("maximum", "ticks"),
    [(0, (0, 1)), (-3, (0, 1)), (1, (0, 1)), (3, (0, 1, 2, 3)), (7, (0, 2, 4, 6, 8)), (30, (0, 10, 20, 30)),
     (99, (0, 50, 100)), (1234, (0, 500, 1000, 1500)), (float("inf"), (0, 1)), (float("nan"), (0, 1))],
)  # fmt: skip
def test_scales_are_round_numbers(maximum: float, ticks: tuple[int, ...]) -> None:
    assert charts.Scale.of(maximum) == charts.Scale(ticks[-1], ticks)


@given(COUNTS)
def test_a_scale_reaches_over_everything(maximum: int) -> None:
    scale = charts.Scale.of(maximum)
    assert scale.top >= maximum
    assert scale.ticks[0] == 0
    assert scale.ticks[-1] == scale.top
    assert 2 <= len(scale.ticks) <= 6
    assert len({high - low for low, high in zip(scale.ticks, scale.ticks[1:], strict=False)}) == 1


def test_columns_stand_side_by_side_in_proportion() -> None:
    svg = parsed(charts.columns("c", "Issued", ["Mon", "Tue"], ["Issued", "Revoked"], [[4, 2], [0, 1]]))
    first, second = classed(svg, "s1")
    assert float(first.get("height", "")) == 2 * float(second.get("height", ""))
    (hatched,) = classed(svg, "hatched")  # a nought draws nothing
    assert hatched.get("fill") == "url(#c-hatch)"
    assert float(hatched.get("x", "").rstrip("%")) > float(second.get("x", "").rstrip("%"))
    for bar in (first, second, hatched):
        assert float(bar.get("y", "")) + float(bar.get("height", "")) == pytest.approx(176)
    assert svg.find("title") is not None
    assert svg.findtext("desc") == (
        "Issued from Mon to Tue. In all: Issued 6, Revoked 1. The table below has every number."
    )


def test_bars_and_shares_are_parts_of_the_width() -> None:
    svg = parsed(charts.bars("b", "By protocol", [("EST", 200), ("SCEP", 50), ("none", 0)]))
    assert [bar.get("width") for bar in classed(svg, "s1")] == ["100%", "25%", "0%"]
    svg = parsed(charts.share("s", "States", [("Valid", 3), ("Revoked", 1), ("Held", 0)]))
    assert [bar.get("width") for bar in [*classed(svg, "s1"), *classed(svg, "hatched")]] == ["75%", "25%"]
    assert [charts.percent(*pair) for pair in ((0, 5), (1, 1000), (999, 1000), (5, 5), (1, 0))] == [
        "0\u202f%", "1\u202f%", "99\u202f%", "100\u202f%", "0\u202f%"
    ]  # fmt: skip


def test_an_area_keeps_to_its_frame() -> None:
    svg = parsed(charts.area("a", "Use", ["1", "2", "3"], "Calls", [0, 10, 5]))
    (line,) = classed(svg, "line")
    assert line.get("points") == "0,100 50,0 100,50"
    (single,) = classed(parsed(charts.area("a", "Use", ["1"], "Calls", [4])), "line")
    assert single.get("points") == "0,0 100,0"


@pytest.mark.parametrize("drawn", [
    charts.columns("c", HOSTILE, [HOSTILE, "b"], [HOSTILE, "x"], [[1, 2], [3, 4]]),
    charts.bars("b", HOSTILE, [(HOSTILE, 3)]),
    charts.share("s", HOSTILE, [(HOSTILE, 3), ("b", 1)]),
    charts.area("a", HOSTILE, [HOSTILE, "b"], HOSTILE, [1, 2]),
])  # fmt: skip
def test_labels_are_escaped(drawn: str) -> None:
    svg = parsed(drawn)
    assert "script" not in {one.tag for one in svg.iter()}
    assert "<script" not in drawn
    assert " style=" not in drawn
    assert not re.search(r"\son\w+=", drawn)


@given(st.lists(COUNTS, max_size=40))
def test_any_numbers_make_whole_svg(values: list[int]) -> None:
    labels = [str(index) for index in range(len(values))]
    for drawn in (
        charts.columns("c", "t", labels, ["a", "b"], [values, values]),
        charts.area("a", "t", labels, "n", values),
        charts.bars("b", "t", list(zip(labels, values, strict=True))),
        charts.share("s", "t", list(zip(labels, values, strict=True))),
    ):
        svg = parsed(drawn)
        assert len(classed(svg, "tick middle")) <= 4
        for one in svg.iter("rect"):
            assert 0 <= float((one.get("width") or "0").rstrip("%")) <= 100


def test_counts_in_few_characters() -> None:
    assert [charts.short(value) for value in (0, 950, 1000, 1500, 34_000, 5_000_000, 2_500_000_000)] == [
        "0", "950", "1k", "1.5k", "34k", "5M", "2.5G"
    ]  # fmt: skip
    assert charts.grouped(1234567) == "1\u202f234\u202f567"
    assert charts.cut("x" * 40) == "x" * 33 + "…"
