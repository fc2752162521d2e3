import numpy as np
import pytest

from workbench.errors import InputError
from workbench.model.model import Model
from workbench.runtime.data.dataset import DataSource, Preprocessing, open_dataset
from workbench.runtime.data.stream import write_dataset
from workbench.samples.catalogue import sample_path, samples
from workbench.samples.graph import Graph

DIGITS = samples()[0]


def model_of(folder, inputs):
    graph = Graph("made", "A model with the inputs asked for.")
    for name, dims in inputs.items():
        graph.input(name, dims)
        graph.node(f"/copy/{name}/Identity", [name], dims, output=f"{name} out")
    path = folder / "model.onnx"
    path.write_bytes(graph.model([f"{name} out" for name in inputs], {}).SerializeToString())
    return Model.load(path)


def images(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_the_test_set_of_the_digits_is_read_with_its_labels(digits):
    dataset = open_dataset(DIGITS.test_set, digits)

    assert len(dataset) == 450
    assert dataset.labels.shape == (450,)
    assert [b["image"].shape[0] for b in dataset.batches(200)] == [200, 200, 50]
    assert dataset.findings() == []


def test_a_limit_cuts_samples_and_labels(digits):
    dataset = open_dataset(DataSource(path=str(DIGITS.test_set), limit=7), digits)

    assert (len(dataset), len(dataset.labels)) == (7, 7)
    assert np.array_equal(dataset.sample(3)["image"], list(dataset.batches(1))[3]["image"])


def test_a_sample_that_is_not_there_is_named(digits):
    with pytest.raises(InputError, match="no sample 450"):
        open_dataset(DIGITS.test_set, digits).sample(450)


def test_labels_of_the_wrong_length_are_refused(digits, tmp_path):
    np.savez(tmp_path / "data.npz", image=images(5, 1, 8, 8), label=np.zeros(4, dtype=np.int64))

    with pytest.raises(InputError, match="4 labels for 5 samples"):
        open_dataset(tmp_path / "data.npz", digits)


def test_labels_come_from_a_file_of_their_own(digits, tmp_path):
    np.savez(tmp_path / "data.npz", image=images(3, 1, 8, 8))
    (tmp_path / "labels.txt").write_text("3\n1\n2\n")

    dataset = open_dataset(tmp_path / "data.npz", digits, labels=str(tmp_path / "labels.txt"))

    assert dataset.labels.tolist() == [3, 1, 2]


def test_labels_that_are_nowhere_are_named(digits, tmp_path):
    np.savez(tmp_path / "data.npz", image=images(3, 1, 8, 8), classes=np.zeros(3))

    with pytest.raises(InputError, match="'class' is neither an array in it nor a file") as caught:
        open_dataset(tmp_path / "data.npz", digits, labels="class")

    assert "Did you mean 'classes'" in str(caught.value)


def test_a_missing_input_is_named_with_what_the_file_holds(digits, tmp_path):
    np.savez(tmp_path / "data.npz", images=images(3, 1, 8, 8))

    with pytest.raises(InputError, match="no array for input 'image'") as caught:
        open_dataset(tmp_path / "data.npz", digits)

    assert "Did you mean 'images'" in str(caught.value)


def test_a_constant_input_is_a_finding(digits, tmp_path):
    np.savez(tmp_path / "data.npz", image=np.full((4, 1, 8, 8), 0.5, dtype=np.float32))

    [finding] = open_dataset(tmp_path / "data.npz", digits).findings()

    assert "all elements of 'image' are 0.5 in 4 samples" in finding.seen


def test_inputs_of_different_lengths_are_refused(tmp_path):
    model = model_of(tmp_path, {"a": ("batch", 2), "b": ("batch", 3)})
    np.savez(tmp_path / "data.npz", a=images(4, 2), b=images(5, 3))

    with pytest.raises(InputError, match="'a' 4, 'b' 5"):
        open_dataset(tmp_path / "data.npz", model)


def test_a_fixed_batch_is_fed_as_the_model_wants_it(tmp_path):
    model = model_of(tmp_path, {"a": (4, 2)})
    np.savez(tmp_path / "data.npz", a=images(10, 2))

    dataset = open_dataset(tmp_path / "data.npz", model)

    assert [b["a"].shape for b in dataset.batches(1)] == [(4, 2), (4, 2)]
    assert "last 2 of 10 samples" in dataset.findings()[0].seen


def test_an_axis_more_than_the_model_has_means_one_feed_each(tmp_path):
    model = model_of(tmp_path, {"a": ("sequence", 2)})
    np.savez(tmp_path / "data.npz", a=images(3, 5, 2))

    assert [b["a"].shape for b in open_dataset(tmp_path / "data.npz", model).batches(2)] == [(5, 2)] * 3


def test_steps_in_time_are_not_taken_for_samples(tmp_path):
    model = model_of(tmp_path, {"a": ("sequence", 2)})
    np.savez(tmp_path / "data.npz", a=images(5, 2))

    assert [b["a"].shape for b in open_dataset(tmp_path / "data.npz", model).batches()] == [(5, 2)]


def test_an_input_without_samples_is_fed_whole_each_time(tmp_path):
    model = model_of(tmp_path, {"a": ("batch", 2), "b": ("batch", 2), "table": (3, 2)})
    np.savez(tmp_path / "data.npz", a=images(4, 2), b=images(4, 2), table=images(3, 2))

    assert [b["table"].shape for b in open_dataset(tmp_path / "data.npz", model).batches(2)] == [(3, 2)] * 2


@pytest.mark.parametrize("once", [True, False])
def test_an_iterator_gives_single_samples_with_labels(digits, once):
    items = [(image, label) for image, label in zip(images(3, 1, 8, 8), (1, 2, 3), strict=True)]
    dataset = open_dataset(iter(items) if once else items, digits)

    assert [b["image"].shape for b in dataset.batches()] == [(1, 1, 8, 8)] * 3
    assert dataset.labels.tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="not known"):
        len(dataset)


def test_a_spent_iterator_says_so(digits):
    dataset = open_dataset(iter(images(3, 1, 8, 8)), digits)
    list(dataset.batches())

    with pytest.raises(InputError, match="read already"):
        next(dataset.batches())


def test_what_an_iterator_gives_can_be_written_for_a_worker(digits, tmp_path):
    pictures = images(3, 1, 8, 8)
    source = write_dataset(open_dataset(zip(pictures, (1, 2, 3), strict=True), digits), digits, tmp_path / "spool.npz")

    dataset = open_dataset(source, digits)

    assert np.array_equal(next(dataset.batches(3))["image"], pictures)
    assert dataset.labels.tolist() == [1, 2, 3]


def test_sequences_of_one_length_survive_being_written(tmp_path):
    model = model_of(tmp_path, {"a": ("sequence", 2)})
    source = write_dataset(open_dataset(list(images(3, 5, 2)), model), model, tmp_path / "spool.npz")

    assert [b["a"].shape for b in open_dataset(source, model).batches()] == [(5, 2)] * 3


@pytest.fixture
def photographs(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, colour in (("cat/1.png", (255, 0, 0)), ("cat/2.png", (0, 255, 0)), ("dog/3.png", (0, 0, 255))):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", (6, 4), colour).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_images_are_prepared_as_declared(photographs, tmp_path):
    model = model_of(tmp_path, {"image": ("batch", 3, 2, 2)})
    declared = Preprocessing(size=(2, 2), mean=(0.5,), std=(0.5,), channels="BGR")

    dataset = open_dataset(photographs, model, preprocessing=declared)

    [batch] = dataset.batches(3)
    assert batch["image"][:, :, 0, 0].tolist() == [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]]
    assert dataset.labels.tolist() == [0, 0, 1]


def test_a_centre_is_cut_from_the_resized_image(photographs, tmp_path):
    model = model_of(tmp_path, {"image": ("batch", 2, 2, 3)})
    declared = Preprocessing(size=(2, 2), resize=2, layout="NHWC")

    assert open_dataset(photographs, model, preprocessing=declared).sample(0)["image"].shape == (1, 2, 2, 3)


def test_images_take_labels_by_name(photographs, tmp_path):
    model = model_of(tmp_path, {"image": ("batch", 3, 2, 2)})
    (tmp_path / "labels.csv").write_text("dog/3.png,7\ncat/1.png,5\ncat/2.png,6\n")

    dataset = open_dataset(photographs, model, labels=str(tmp_path / "labels.csv"), preprocessing=Preprocessing(size=(2, 2)))

    assert dataset.labels.tolist() == [5, 6, 7]


def test_images_without_preprocessing_are_refused(photographs, tmp_path):
    with pytest.raises(InputError, match="not declared"):
        open_dataset(photographs, model_of(tmp_path, {"image": ("batch", 3, 2, 2)}))


def test_images_of_a_size_that_the_model_does_not_take_are_refused(photographs, tmp_path):
    with pytest.raises(InputError, match="axis 2 must be 2"):
        open_dataset(photographs, model_of(tmp_path, {"image": ("batch", 3, 2, 2)}), preprocessing=Preprocessing(size=(4, 4)))


def test_a_file_that_is_no_image_is_named(photographs, tmp_path):
    (photographs / "cat" / "2.png").write_bytes(b"nothing")
    dataset = open_dataset(
        photographs, model_of(tmp_path, {"image": ("batch", 3, 2, 2)}), preprocessing=Preprocessing(size=(2, 2))
    )

    with pytest.raises(InputError, match=r"2\.png: cannot be read as an image"):
        list(dataset.batches())


def test_the_encoder_takes_many_sequences(tmp_path):
    model = Model.load(sample_path("encoder"))
    shapes = {spec.name: spec for spec in model.inputs}
    arrays = {name: np.ones((6, 8), dtype=spec.dtype) for name, spec in shapes.items()}
    np.savez(tmp_path / "data.npz", **arrays)

    assert len(open_dataset(tmp_path / "data.npz", model)) == 6
