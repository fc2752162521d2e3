"""A detector of red, green and blue discs whose weights are worked out, not trained.

What each part computes can be said in a sentence, so that a wrong answer of a runtime can be traced to a node:

* The stem keeps how much one colour outshines the other two; a pyramid of binomial filters halves the image up to
  stride 8 and stride 16. White, grey and dark areas give nothing.
* The box head of each level is one convolution: the zeroth, first and second moments of colour in 5x5 cells. First
  moments give the centre of a disc, second moments its width and height.
* The class head weighs colour within 3x3 cells against the ring around them and against imbalance: a disc that fits the
  level stands in the middle, alone. At stride 8 the head also sees the coarser level, and yields where another colour
  fills the surroundings.
* Boxes come from a grid made of Shape, Range and Expand, are thinned by NonMaxSuppression, gathered, and dropped below
  a least size.

Discs of 5 to 22 pixels radius are found when they lie apart by about their own width. Boxes are right to within 2 pixels,
but end early within 16 pixels of the right and bottom edges, where the pyramid has no cell of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.samples.graph import BOOL, FLOAT, INT64, Dims, Graph

if TYPE_CHECKING:
    import onnx

LABELS = ("red", "green", "blue")
STRIDES = (8, 16)
CLASSES = len(LABELS)
MOMENTS = ("mass", "x", "y", "xx", "yy")
SMOOTHING = 1 / 6  # variance, in cells, that the pyramid's own filters add: sum of 4**k / 2 up to the stride, over stride**2
LEAST_PIXELS = 4.0
# How the class head weighs colour in the middle, colour there beyond what is enough, colour in the ring, and the
# imbalance to the right, left, bottom and top.
VOTES = (2.0, -2.0, -2.0, -0.6, -0.6, -0.6, -0.6)
ENOUGH = 4.0  # cells; a disc that needs more fits the next level better
LEAST_EVIDENCE = {8: 0.6, 16: 1.6}  # below it a disc is noise, or the finer level sees it better


def detector_model() -> onnx.ModelProto:
    """Return the detector; the image's height and width are free, and best multiples of 16."""
    graph = Graph(
        "detector",
        "Finds red, green and blue discs of 5 to 22 pixels radius. Input: one RGB image, 0 to 1. Outputs, one row a disc: "
        "boxes (x1, y1, x2, y2 in pixels), scores, labels (0 red, 1 green, 2 blue). The weights are worked out, not trained.",
    )
    fine, coarse = _backbone(graph)
    context = _upsampled(graph, coarse, fine)
    boxes, scores = [], []
    for stride, features, around in ((8, fine, context), (16, coarse, "")):
        boxes.append(_boxes(graph, features, stride))
        scores.append(_scores(graph, features, around, stride))
    all_boxes = graph.node("/decode/boxes/Concat", boxes, (1, "anchors", 4), axis=1)
    all_scores = graph.node("/decode/scores/Concat", scores, (1, CLASSES, "anchors"), axis=2)
    outputs = _selected(graph, all_boxes, all_scores)
    return graph.model(outputs, {"labels": ",".join(LABELS), "weights": "worked out, not trained"})


def disc_image(height: int, width: int, discs: list[tuple[str, float, float, float]], *, seed: int = 0) -> np.ndarray:
    """Draw discs on a dark, slightly noisy ground.

    Parameters
    ----------
    height, width : int
        In pixels.
    discs : list of (label, x, y, radius)
        Colour, centre and radius in pixels.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray of float32, shape (1, 3, height, width)
        RGB, 0 to 1 in 255 steps, as from a camera.
    """
    rng = np.random.default_rng(seed)
    image = 0.1 + 0.02 * rng.standard_normal((3, height, width))
    y, x = np.mgrid[:height, :width] + 0.5
    for label, centre_x, centre_y, radius in discs:
        inside = np.clip(radius + 0.5 - np.hypot(x - centre_x, y - centre_y), 0, 1)  # one pixel of soft edge
        colour = np.array([float(label == name) for name in LABELS])[:, None, None]
        image += inside * (colour - image)
    return np.asarray(np.round(255 * np.clip(image, 0, 1))[None] / 255, dtype=np.float32)


def _at(stride: int) -> tuple[str, str]:
    return f"height/{stride}", f"width/{stride}"


def _backbone(graph: Graph) -> tuple[str, str]:
    """Add the pyramid and return its levels at strides 8 and 16, three channels each."""
    binomial = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16
    opponent = 2 * np.eye(CLASSES, dtype=np.float32) - 1  # a colour less the two others
    features = graph.input("image", (1, 3, "height", "width"))
    levels = []
    for level, stage in enumerate(("stem", "stage1", "stage2", "stage3")):
        kernel = opponent[:, :, None, None] * binomial if level == 0 else np.tile(binomial, (CLASSES, 1, 1, 1))
        weight = graph.weight(f"{stage}.weight", kernel.astype(np.float32))
        dims = (1, CLASSES, *_at(2 ** (level + 1)))
        features = graph.node(
            f"/{stage}/conv/Conv",
            [features, weight],
            dims,
            kernel_shape=[3, 3],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
            group=1 if level == 0 else CLASSES,
        )
        features = graph.node(f"/{stage}/activation/Relu", [features], dims)
        levels.append(features)
    return levels[2], levels[3]


def _upsampled(graph: Graph, coarse: str, fine: str) -> str:
    """Add the coarse level brought to the fine level's size, whatever that is."""
    size = graph.node("/neck/Shape", [fine], (4,), INT64)
    bounds = [graph.weight(f"neck.{name}", [value]) for name, value in (("start", 2), ("end", 4))]
    spatial = graph.node("/neck/Slice", [size, *bounds], (2,), INT64)
    head = graph.weight("neck.head", [1, CLASSES])
    sizes = graph.node("/neck/sizes/Concat", [head, spatial], (4,), INT64, axis=0)
    return graph.node(
        "/neck/upsample/Resize",
        [coarse, "", "", sizes],
        (1, CLASSES, *_at(8)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _scores(graph: Graph, features: str, context: str, stride: int) -> str:
    """Add a level's class head and return scores, shape (1, classes, cells)."""
    level = f"level{stride}"
    weight = _evidence()
    if context:
        features = graph.node(f"/{level}/context/Concat", [features, context], (1, 2 * CLASSES, *_at(stride)), axis=1)
        others = np.zeros_like(weight)
        others[:CLASSES, :, 2, 2] = 0.5 * (np.eye(CLASSES) - 1)
        weight = np.concatenate([weight, others], axis=1)
    bias = np.zeros(len(weight), np.float32)
    bias[CLASSES : 2 * CLASSES] = -ENOUGH
    hidden = _conv(graph, f"/{level}/evidence/Conv", features, (weight, bias), stride)
    hidden = graph.node(f"/{level}/evidence/Relu", [hidden], (1, len(weight), *_at(stride)))
    votes = np.kron(np.array(VOTES, np.float32), np.eye(CLASSES, dtype=np.float32))[:, :, None, None]
    logits = _conv(graph, f"/{level}/score/Conv", hidden, (votes, np.full(CLASSES, -LEAST_EVIDENCE[stride], np.float32)), stride)
    scores = graph.node(f"/{level}/score/Sigmoid", [logits], (1, CLASSES, *_at(stride)))
    shape = graph.weight(f"{level}.score.shape", [1, CLASSES, -1])
    return graph.node(f"/{level}/score/Reshape", [scores, shape], (1, CLASSES, f"cells{stride}"))


def _evidence() -> np.ndarray:
    """Return the kernels of what speaks for and against a disc, in the order of `VOTES`, each for all classes."""
    y, x = np.mgrid[-2:3, -2:3].astype(np.float32)
    inner = np.float32(np.maximum(abs(x), abs(y)) < 2)
    kernels = (inner, inner, 1 - inner, x, -x, y, -y)
    own = np.eye(CLASSES, dtype=np.float32)[:, :, None, None]
    return np.concatenate([own * kernel for kernel in kernels])


def _conv(graph: Graph, name: str, source: str, weights: tuple[np.ndarray, np.ndarray], stride: int) -> str:
    """Add a convolution that keeps the level's size."""
    stem = name.strip("/").rsplit("/", 1)[0].replace("/", ".")
    size = weights[0].shape[-1]
    inputs = [source, graph.weight(f"{stem}.weight", weights[0]), graph.weight(f"{stem}.bias", weights[1])]
    dims = (1, len(weights[0]), *_at(stride))
    return graph.node(name, inputs, dims, kernel_shape=[size, size], pads=[size // 2] * 4)


def _boxes(graph: Graph, features: str, stride: int) -> str:
    """Add a level's box head and decoder, and return boxes in pixels, shape (1, cells, 4)."""
    level, dims = f"level{stride}", (1, 1, *_at(stride))
    bias = np.array([1e-4, 0, 0, 0, 0], np.float32)  # no division by zero where there is no colour
    found = _conv(graph, f"/{level}/moments/Conv", features, (_moments(), bias), stride)
    mass, x, y, xx, yy = graph.split(f"/{level}/moments/Split", found, MOMENTS, dims, axis=1)
    grid = _grid(graph, features, stride)
    centre, side = {}, {}
    for axis, sums in (("x", (mass, x, xx)), ("y", (mass, y, yy))):
        centre[axis], side[axis] = _extent(graph, f"/{level}/{axis}", sums, grid[axis], stride)
    corners = [
        graph.node(f"/{level}/{corner}/{op}", [centre[corner[0]], side[corner[0]]], dims)
        for corner, op in (("x1", "Sub"), ("y1", "Sub"), ("x2", "Add"), ("y2", "Add"))
    ]
    boxes = graph.node(f"/{level}/box/Concat", corners, (1, 4, *_at(stride)), axis=1)
    shape = graph.weight(f"{level}.box.shape", [1, 4, -1])
    flat = graph.node(f"/{level}/box/Reshape", [boxes, shape], (1, 4, f"cells{stride}"))
    return graph.node(f"/{level}/box/Transpose", [flat], (1, f"cells{stride}", 4), perm=[0, 2, 1])


def _moments() -> np.ndarray:
    """Return the kernels of the moments over 5x5 cells around the middle one, the same for each colour."""
    y, x = np.mgrid[-2:3, -2:3].astype(np.float32)
    kernels = np.stack([np.ones_like(x), x, y, x * x, y * y])
    return np.repeat(kernels[:, None], CLASSES, axis=1)


def _grid(graph: Graph, features: str, stride: int) -> dict[str, str]:
    """Add the index of each cell along both axes, made from the level's own shape."""
    level, dims = f"level{stride}", (1, 1, *_at(stride))
    shape = graph.node(f"/{level}/grid/Shape", [features], (4,), INT64)
    zero, one = graph.weight(f"{level}.grid.zero", 0), graph.weight(f"{level}.grid.one", 1)
    ends = [graph.weight(f"{level}.grid.{name}", [value]) for name, value in (("start", 2), ("end", 4))]
    spatial = graph.node(f"/{level}/grid/Slice", [shape, *ends], (2,), INT64)
    ones = graph.weight(f"{level}.grid.ones", [1, 1])
    target = graph.node(f"/{level}/grid/Concat", [ones, spatial], (4,), INT64, axis=0)
    found = {}
    for axis, position, size, across in (("y", 2, _at(stride)[0], [0, 1, 3]), ("x", 3, _at(stride)[1], [0, 1, 2])):
        at, path = graph.weight(f"{level}.grid.{axis}.position", position), f"/{level}/grid/{axis}"
        count = graph.node(f"{path}/Gather", [shape, at], (), INT64, axis=0)
        index = graph.node(f"{path}/Range", [zero, count, one], (size,), INT64)
        axes = graph.weight(f"{level}.grid.{axis}.axes", across)
        line: Dims = (1, 1, size, 1) if axis == "y" else (1, 1, 1, size)
        spread = graph.node(f"{path}/Unsqueeze", [index, axes], line, INT64)
        cells = graph.node(f"{path}/Expand", [spread, target], dims, INT64)
        found[axis] = graph.node(f"{path}/Cast", [cells], dims, FLOAT, to=FLOAT)
    return found


def _extent(graph: Graph, path: str, sums: tuple[str, str, str], grid: str, stride: int) -> tuple[str, str]:
    """Add the centre and half the width of a disc along one axis, both in pixels; `sums` are the moments 0 to 2.

    A uniform disc of radius r has the variance r**2 / 4 along each axis.
    """
    dims, stem = (1, 1, *_at(stride)), path.strip("/").replace("/", ".")
    mass, first, second = sums
    offset = graph.node(f"{path}/offset/Div", [first, mass], dims)
    square = graph.node(f"{path}/square/Mul", [offset, offset], dims)
    mean = graph.node(f"{path}/mean/Div", [second, mass], dims)
    spread = graph.node(f"{path}/spread/Sub", [mean, square], dims)
    disc = graph.node(f"{path}/disc/Sub", [spread, graph.weight(f"{stem}.smoothing", SMOOTHING)], dims)
    positive = graph.node(f"{path}/positive/Relu", [disc], dims)
    deviation = graph.node(f"{path}/deviation/Sqrt", [positive], dims)
    half = graph.node(f"{path}/half/Mul", [deviation, graph.weight(f"{stem}.half", 2.0 * stride)], dims)
    cell = graph.node(f"{path}/cell/Add", [grid, offset], dims)
    scaled = graph.node(f"{path}/scaled/Mul", [cell, graph.weight(f"{stem}.stride", float(stride))], dims)
    # The filters are centred on a pixel, and a pixel's own centre lies half a pixel from its corner.
    return graph.node(f"{path}/centre/Add", [scaled, graph.weight(f"{stem}.centre", 0.5)], dims), half


def _selected(graph: Graph, boxes: str, scores: str) -> list[str]:
    """Add NonMaxSuppression, the gathering of what it kept, and the filter by size."""
    limits = [
        graph.weight("nms.most_per_class", [100]),
        graph.weight("nms.iou", [0.45]),
        graph.weight("nms.score", [0.5]),
    ]
    kept = graph.node("/nms/NonMaxSuppression", [boxes, scores, *limits], ("kept", 3), INT64)
    class_column, box_column = graph.weight("select.class_column", 1), graph.weight("select.box_column", 2)
    labels = graph.node("/select/label/Gather", [kept, class_column], ("kept",), INT64, axis=1)
    index = graph.node("/select/index/Gather", [kept, box_column], ("kept",), INT64, axis=1)
    first = graph.weight("select.first", [0])
    flat = graph.node("/select/box/Squeeze", [boxes, first], ("anchors", 4))
    chosen = graph.node("/select/box/Gather", [flat, index], ("kept", 4), axis=0)
    score = graph.node("/select/score/GatherND", [scores, kept], ("kept",))
    large = _large_enough(graph, chosen)
    return [
        graph.node("/filter/box/Compress", [chosen, large], ("detections", 4), output="boxes", axis=0),
        graph.node("/filter/score/Compress", [score, large], ("detections",), output="scores", axis=0),
        graph.node("/filter/label/Compress", [labels, large], ("detections",), INT64, output="labels", axis=0),
    ]


def _large_enough(graph: Graph, boxes: str) -> str:
    """Add whether each box is at least `LEAST_PIXELS` wide and high, shape (kept,)."""
    bounds = {value: graph.weight(f"filter.bound{value}", [value]) for value in (0, 2, 4)}
    axis = graph.weight("filter.axis", [1])
    near = graph.node("/filter/near/Slice", [boxes, bounds[0], bounds[2], axis], ("kept", 2))
    far = graph.node("/filter/far/Slice", [boxes, bounds[2], bounds[4], axis], ("kept", 2))
    size = graph.node("/filter/size/Sub", [far, near], ("kept", 2))
    least = graph.node("/filter/least/ReduceMin", [size], ("kept",), axes=[1], keepdims=0)
    limit = graph.weight("filter.limit", LEAST_PIXELS)
    return graph.node("/filter/GreaterOrEqual", [least, limit], ("kept",), BOOL)
