"""The colour histogram: 18 hues x 3 saturations x 3 values (Smith & Chang, VisualSEEk, ACM Multimedia 1996)."""

import numpy as np

from miradouro.bundles.filters.nodes import WHITE, Maps
from miradouro.bundles.graph import GraphBuilder

HUES, SATURATIONS, VALUES = 18, 3, 3
BINS = HUES * SATURATIONS * VALUES


def hsv_histogram(graph: GraphBuilder, rgb: Maps) -> str:
    """The square root of each bin's share of the pixels, [N, 162], hue by hue, then saturation, then value.

    A pixel counts for the two nearest bins of each axis, by nearness. The Euclidean distance of square roots is the Hellinger
    distance of histograms (times sqrt 2), which rare colours weigh more in.
    """
    hue, saturation, value = _hsv(graph, rgb)
    pixels = rgb.height * rgb.width
    row = graph.constant("colour.row", np.array([0, 1, pixels], np.int64))
    hue, saturation, value = (graph.node("Reshape", [each, row], f"{each}.row") for each in (hue, saturation, value))
    hues = _nearness(graph, hue, "colour.hues", HUES, is_circle=True)
    levels = graph.node(
        "Mul",
        [
            graph.node("Unsqueeze", [_nearness(graph, saturation, "colour.s", SATURATIONS), _axis(graph, 2)], "colour.s.column"),
            graph.node("Unsqueeze", [_nearness(graph, value, "colour.v", VALUES), _axis(graph, 1)], "colour.v.row"),
        ],
        "colour.levels.pairs",
    )
    flat = graph.constant("colour.levels.shape", np.array([0, SATURATIONS * VALUES, pixels], np.int64))
    levels = graph.node("Reshape", [levels, flat], "colour.levels")
    columns = graph.node("Transpose", [levels], "colour.levels.columns", perm=[0, 2, 1])
    counts = graph.node("MatMul", [hues, columns], "colour.counts")
    share = graph.node("Div", [counts, graph.constant("colour.pixels", np.array(pixels, np.float32))], "colour.shares")
    return graph.node("Flatten", [graph.node("Sqrt", [share], "colour.roots")], "colour.histogram")


def _hsv(graph: GraphBuilder, rgb: Maps) -> tuple[str, str, str]:
    """Hue, saturation and value, each [N, 1, height, width], 0 to 1 (Smith, SIGGRAPH 1978). Greys have hue 0."""

    def constant(name: str, value: float) -> str:
        return graph.constant(f"hsv.{name}", np.array(value, np.float32))

    highest = graph.node("ReduceMax", [rgb.tensor], "hsv.highest", axes=[1], keepdims=1)
    lowest = graph.node("ReduceMin", [rgb.tensor], "hsv.lowest", axes=[1], keepdims=1)
    chroma = graph.node("Sub", [highest, lowest], "hsv.chroma")
    # Where chroma or value is 0, so is the dividend. `small` is less than any other that averages of four pixels have.
    one = constant("small", 1 / 8)
    divisor = graph.node("Max", [chroma, one], "hsv.chroma.divisor")
    saturation = graph.node("Div", [chroma, graph.node("Max", [highest, one], "hsv.value.divisor")], "hsv.saturation")
    value = graph.node("Div", [highest, constant("white", WHITE)], "hsv.value")
    channels = [
        graph.node("Slice", [rgb.tensor, *(_axis(graph, edge) for edge in (number, number + 1, 1))], f"hsv.{colour}")
        for number, colour in enumerate(("red", "green", "blue"))
    ]
    red, green, blue = channels

    def sixths(minuend: str, subtrahend: str, offset: float, name: str) -> str:
        difference = graph.node("Sub", [minuend, subtrahend], f"hsv.{name}.difference")
        return graph.node(
            "Add", [graph.node("Div", [difference, divisor], f"hsv.{name}.part"), constant(name, offset)], f"hsv.{name}.sixths"
        )

    is_red, is_green = (graph.node("Equal", [channel, highest], f"{channel}.highest") for channel in (red, green))
    below_red = graph.node(
        "Where", [is_green, sixths(blue, red, 2, "from_green"), sixths(red, green, 4, "from_blue")], "hsv.not_red"
    )
    from_red = graph.node("Mod", [sixths(green, blue, 6, "from_red"), constant("turn", 6)], "hsv.from_red.turned", fmod=1)
    around = graph.node("Where", [is_red, from_red, below_red], "hsv.around")
    hue = graph.node("Div", [around, constant("sixths", 6)], "hsv.hue")
    return hue, saturation, value


def _nearness(graph: GraphBuilder, x: str, name: str, bins: int, *, is_circle: bool = False) -> str:
    """max(0, 1 - distance to each bin in bins), [N, bins, pixels], of `x` [N, 1, pixels]; the shares of a pixel sum to 1.

    The bins are at 0, 1/(bins - 1), …, 1, on a circle at 0, 1/bins, …
    """
    steps = np.array(bins if is_circle else bins - 1, np.float32)
    places = graph.constant(f"{name}.places", np.arange(bins, dtype=np.float32).reshape(1, bins, 1))
    scaled = graph.node("Mul", [x, graph.constant(f"{name}.steps", steps)], f"{name}.scaled")
    distance = graph.node("Abs", [graph.node("Sub", [scaled, places], f"{name}.offset")], f"{name}.distance")
    if is_circle:
        other_way = graph.node("Sub", [graph.constant(f"{name}.turn", steps), distance], f"{name}.other_way")
        distance = graph.node("Min", [distance, other_way], f"{name}.shortest")
    one = graph.constant(f"{name}.one", np.array(1, np.float32))
    return graph.node("Relu", [graph.node("Sub", [one, distance], f"{name}.nearness")], name)


def _axis(graph: GraphBuilder, number: int) -> str:
    return graph.constant(f"colour.axis{number}", np.array([number], np.int64))
