import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from workbench.model.model import Model
from workbench.samples.catalogue import sample_path, samples
from workbench.samples.detector import LABELS, detector_model, disc_image
from workbench.samples.encoder import encoder_model

NAMES = [sample.name for sample in samples()]


def session(name):
    ort = pytest.importorskip("onnxruntime")
    return ort.InferenceSession(sample_path(name), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", NAMES)
def test_nodes_are_named_and_unique_and_end_in_their_operator(name):
    model = Model.load(sample_path(name))
    own = [node.proto.name for node in model.nodes]
    assert len(set(own)) == len(own)
    assert all(node.proto.name == node.name and node.name.endswith("/" + node.op_type) for node in model.nodes)


@pytest.mark.parametrize("name", NAMES)
def test_old_runtimes_can_read_it_and_it_says_where_it_comes_from(name):
    model = Model.load(sample_path(name))
    assert (model.opset, model.ir_version, model.producer) == (17, 8, "trt-workbench samples 1")
    assert model.proto.doc_string
    assert model.proto.metadata_props
    assert [finding.level for finding in model.findings()] == ["info"]  # of its dynamic dimensions


@pytest.mark.parametrize("name", NAMES)
def test_every_dimension_of_every_tensor_has_a_value_or_a_name_that_inference_agrees_with(name):
    model = onnx.load(sample_path(name))
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*graph.value_info, *graph.output]}
    assert set(shapes) == {output for node in graph.node for output in node.output}
    assert all(dim.HasField("dim_value") or dim.dim_param for dims in shapes.values() for dim in dims)


def test_digits_classifies_at_least_97_per_cent_of_held_out_images():
    sample = next(s for s in samples() if s.name == "digits")
    data = np.load(sample.test_set)
    assert data["image"].dtype == np.float32
    assert data["image"].shape == (450, 1, 8, 8)
    assert (data["image"].min(), data["image"].max()) == (0, 1)
    logits, probabilities = ReferenceEvaluator(str(sample.path)).run(None, {"image": data["image"]})
    assert np.mean(logits.argmax(axis=1) == data["label"]) >= 0.97
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_digits_was_not_trained_on_its_test_set():
    sample = next(s for s in samples() if s.name == "digits")
    seen = {image.tobytes() for image in np.load(sample.training_set)["image"]}
    held_out = np.load(sample.test_set)["image"]
    assert len(seen) == 1347
    assert not any(image.tobytes() in seen for image in held_out)


@pytest.mark.parametrize(("height", "width"), [(128, 160), (192, 320), (200, 300)])
def test_detector_finds_each_disc_at_any_image_size(height, width):
    discs = [("red", 30.0, 40.0, 6.0), ("green", 90.0, 30.0, 5.0), ("blue", 110.0, 85.0, 20.0)]
    boxes, scores, labels = session("detector").run(None, {"image": disc_image(height, width, discs)})
    assert [LABELS[label] for label in labels] == [label for label, *_ in discs]  # ordered by class
    assert (scores > 0.5).all()
    expected = [(x - r, y - r, x + r, y + r) for _, x, y, r in discs]
    np.testing.assert_allclose(boxes, expected, atol=1.5)


def test_detector_finds_nothing_where_there_is_nothing():
    boxes, scores, labels = session("detector").run(None, {"image": disc_image(64, 64, [])})
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))


def test_detector_finds_the_discs_of_its_own_image():
    sample = next(s for s in samples() if s.name == "detector")
    _, _, labels = session("detector").run(None, dict(np.load(sample.inputs)))
    assert sorted(sample.labels[label] for label in labels) == ["blue", "blue", "green", "green", "red", "red", "red"]


@pytest.mark.parametrize("shape", [(1, 8), (3, 50)])
def test_encoder_runs_at_any_shape_and_ignores_masked_positions(shape):
    rng = np.random.default_rng(0)
    ids, mask = rng.integers(0, 1000, shape), np.ones(shape, np.int64)
    mask[:, 5:] = 0
    encoder = session("encoder")
    hidden, embedding = encoder.run(None, {"input_ids": ids, "attention_mask": mask})
    assert (hidden.shape, embedding.shape) == ((*shape, 64), (shape[0], 64))
    ids[:, 5:] = 0
    _, again = encoder.run(None, {"input_ids": ids, "attention_mask": mask})
    np.testing.assert_allclose(again, embedding, atol=1e-6)


def test_encoder_stays_finite_without_any_position():
    feed = {"input_ids": np.zeros((2, 4), np.int64), "attention_mask": np.zeros((2, 4), np.int64)}
    hidden, embedding = session("encoder").run(None, feed)
    assert np.isfinite(hidden).all()
    assert (embedding == 0).all()


@pytest.mark.parametrize(("name", "build"), [("detector", detector_model), ("encoder", encoder_model)])
def test_the_builder_makes_the_committed_model_again(name, build):
    made, kept = build().graph, onnx.load(sample_path(name)).graph
    assert list(made.node) == list(kept.node)
    assert [*made.input, *made.output, *made.value_info] == [*kept.input, *kept.output, *kept.value_info]
    assert [tensor.name for tensor in made.initializer] == [tensor.name for tensor in kept.initializer]
    for ours, theirs in zip(made.initializer, kept.initializer, strict=True):
        np.testing.assert_allclose(numpy_helper.to_array(ours), numpy_helper.to_array(theirs), rtol=1e-6)
