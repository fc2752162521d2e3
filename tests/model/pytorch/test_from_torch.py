import sys

import numpy as np
import onnx
import pytest

from workbench.errors import InputError, ModelError, Unavailable
from workbench.model.model import Model
from workbench.model.pytorch.call import Call, call_of, results_of
from workbench.model.pytorch.export import explained
from workbench.model.pytorch.origin import module_path, torch_origin

OLD_OPSET = "Exporting the operator 'aten::col2im' to ONNX opset version 17 is not supported"


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def nets(torch):
    """Return small modules by name."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)
            self.drop = torch.nn.Dropout(0.5)
            self.dense = torch.nn.Linear(4, 2)

        def forward(self, image):
            return self.dense(self.drop(self.conv(image)).relu().mean((2, 3)))

    class Two(torch.nn.Module):
        def forward(self, a, b):
            product = a @ b
            return {"product": product, "best": product.argmax(-1)}

    class Branch(torch.nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x - 1

    class Unknown(torch.nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    class Random(torch.nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    class Images(torch.nn.Module):
        def forward(self, images):
            return [{"boxes": images[0] * 2, "scores": images[0].sum(0)}]

    class Sorting(torch.nn.Module):
        def forward(self, x):
            scores, order = (x * 0.3333).topk(50)
            return {"scores": scores, "order": order}

    class Chosen(torch.nn.Module):
        def forward(self, x):
            index = (x[0] * 3).long()
            if x.sum() > 30:
                index = index * 0
            return x[index]

    class Rows(torch.nn.Module):
        def forward(self, x):
            return x.reshape(2, 6)

    class Baked(torch.nn.Module):
        def forward(self, x):
            return x + torch.arange(int(x.shape[0] * 1.0))[:, None].to(x)

    torch.manual_seed(0)
    return {each.__name__: each() for each in (Net, Two, Branch, Unknown, Random, Images, Sorting, Chosen, Rows, Baked)}


def shapes(specs):
    return [(spec.name, spec.shape) for spec in specs]


def test_a_module_becomes_a_checked_model_that_says_how_it_was_made(torch, nets, tmp_path):
    model = Model.from_torch(nets["Net"], torch.rand(1, 3, 8, 8), path=tmp_path / "net.onnx")

    origin = torch_origin(model)
    assert shapes(model.inputs) == [("image", (1, 3, 8, 8))]
    assert shapes(model.outputs) == [("output", (1, 2))]
    assert model.opset == 17
    assert (origin.torch, origin.exporter, origin.opset, origin.name) == (torch.__version__, "TorchScript", 17, "Net")
    assert origin.checked == ("example",)
    assert origin.worst_rel_l2 < 1e-5
    keys = {entry.key for entry in onnx.load(model.path).metadata_props}
    assert keys >= {"torch_version", "torch_exporter", "torch_opset"}
    assert any("TorchScript exporter" in finding.seen for finding in model.findings())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.onnx", "net.torch.pt"]


def test_a_dynamic_batch_is_tried_with_a_second_size(torch, nets, tmp_path):
    for number, dynamic in enumerate(({"image": {0: "batch"}}, {0: {0: "batch"}}, {0: {-4: "batch"}}, "batch")):
        model = Model.from_torch(nets["Net"], torch.rand(1, 3, 8, 8), dynamic=dynamic, path=tmp_path / f"{number}.onnx")

        assert shapes(model.inputs) == [("image", ("batch", 3, 8, 8))]
        assert shapes(model.outputs) == [("output", ("batch", 2))]
        assert torch_origin(model).checked == ("example", "batch=2")


def test_a_dict_names_the_arguments_and_results_of_a_dict_name_the_outputs(torch, nets, tmp_path):
    example = {"b": torch.rand(4, 5), "a": torch.rand(2, 4)}
    model = Model.from_torch(nets["Two"], example, dynamic={"a": {0: "rows"}}, path=tmp_path / "two.onnx")

    assert shapes(model.inputs) == [("a", ("rows", 4)), ("b", (4, 5))]
    assert [(spec.name, spec.dtype) for spec in model.outputs] == [("product", "float32"), ("best", "int64")]


def test_nodes_read_equal_weights_themselves(torch, tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3))
    torch.nn.init.zeros_(net[0].bias)
    torch.nn.init.zeros_(net[2].bias)

    model = Model.from_torch(net, torch.rand(1, 3, 8, 8), path=tmp_path / "net.onnx")

    assert [node.op_type for node in model.proto.graph.node] == ["Conv", "Relu", "Conv"]
    assert not list(tmp_path.glob(".workbench-export-*"))


def test_a_list_of_tensors_is_one_argument(torch, nets, tmp_path):
    model = Model.from_torch(nets["Images"], [torch.rand(2, 4)], path=tmp_path / "images.onnx")

    assert shapes(model.inputs) == [("images_0", (2, 4))]
    assert [spec.name for spec in model.outputs] == ["boxes", "scores"]


def test_dropout_is_off_in_the_model_and_the_module_stays_in_training(torch, nets, tmp_path):
    net = nets["Net"].train()
    net.conv.eval()
    model = Model.from_torch(net, torch.rand(2, 3, 8, 8), path=tmp_path / "net.onnx")

    assert (net.training, net.conv.training, net.drop.training) == (True, False, True)
    assert "Dropout" not in {count.op_type for count in model.operators}


def test_a_path_that_values_decide_is_refused_with_its_line_and_a_remedy(torch, nets, tmp_path):
    with pytest.raises(
        ModelError, match=r"Branch cannot be exported.*depends on the values of tensors at .*test_from_torch"
    ) as told:
        Model.from_torch(nets["Branch"], torch.rand(2, 4), path=tmp_path / "branch.onnx")

    assert "torch.where" in told.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_unsupported_operator_is_named_and_nothing_is_printed(torch, nets, tmp_path, capfd):
    with pytest.raises(ModelError, match="operator aten::special_bessel_j0 cannot be exported at opset 17"):
        Model.from_torch(nets["Unknown"], torch.rand(2, 4), path=tmp_path / "unknown.onnx")

    assert capfd.readouterr().out == ""


def test_a_module_that_sorts_near_ties_is_exported_and_says_that_it_cannot_be_compared(torch, nets, tmp_path):
    example = 1 + 1e-7 * torch.rand(1, 50)
    model = Model.from_torch(nets["Sorting"], example, path=tmp_path / "sorting.onnx")

    assert torch_origin(model).unsteady == ("order",)
    assert any("rounding alone changes order much" in finding.seen for finding in model.findings())


def test_a_model_that_fails_where_the_module_does_not_is_made_and_says_so(torch, nets, tmp_path):
    model = Model.from_torch(nets["Chosen"], torch.full((4, 4), 0.9), path=tmp_path / "chosen.onnx")

    told = next(finding for finding in model.findings() if "fails where the module does not" in finding.seen)
    assert "values ten times as large: " in told.seen
    assert told.level == "warning"


def test_a_module_that_draws_random_numbers_cannot_be_checked(torch, nets, tmp_path):
    with pytest.raises(ModelError, match="draws random numbers"):
        Model.from_torch(nets["Random"], torch.rand(2, 4), path=tmp_path / "random.onnx")


def test_a_module_that_cannot_have_another_size_says_which(torch, nets, tmp_path):
    with pytest.raises(InputError, match="Rows itself does not run with n = 6"):
        Model.from_torch(nets["Rows"], torch.rand(3, 4), dynamic={"x": {0: "n"}}, path=tmp_path / "r.onnx")


def test_a_size_that_became_a_constant_is_found_out(torch, nets, tmp_path):
    with pytest.raises(ModelError, match="disagree with n=4"):
        Model.from_torch(nets["Baked"], torch.rand(2, 8), dynamic={"x": {0: "n"}}, path=tmp_path / "baked.onnx")


@pytest.mark.parametrize(
    ("example", "dynamic", "words"),
    [
        (lambda t: {"imgae": t.rand(1, 3, 8, 8)}, None, "does not fit Net.forward"),
        (lambda t: (t.rand(1, 3, 8, 8), 3), None, "does not fit Net.forward"),
        (lambda _: ("text",), None, "argument 'image' is of type str"),
        (lambda t: t.rand(1, 4, 8, 8), None, "Net fails on the example"),
        (lambda t: t.rand(1, 3, 8, 8), {"imgae": {0: "batch"}}, "Did you mean 'image'"),
        (lambda t: t.rand(1, 3, 8, 8), {"image": {4: "batch"}}, "no axis 4"),
        (lambda t: t.rand(1, 3, 8, 6), {"image": {2: "side", 3: "side"}}, "dimension 'side' is 6 in 'image' and 8"),
    ],
)
def test_bad_examples_are_one_clear_message(torch, nets, tmp_path, example, dynamic, words):  # noqa: PLR0917
    with pytest.raises(InputError) as told:
        Model.from_torch(nets["Net"], example(torch), dynamic=dynamic, path=tmp_path / "net.onnx")

    assert words in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_from_elsewhere_is_never_written_over_but_an_earlier_export_is(torch, nets, tmp_path, digits):
    other = tmp_path / "digits.onnx"
    other.write_bytes(digits.path.read_bytes())
    with pytest.raises(ModelError, match="exists, and was not exported"):
        Model.from_torch(nets["Net"], torch.rand(1, 3, 8, 8), path=other)
    assert other.read_bytes() == digits.path.read_bytes()

    for size in (8, 9):
        model = Model.from_torch(nets["Net"], torch.rand(1, 3, size, size), path=tmp_path / "net.onnx")
    assert model.inputs[0].shape == (1, 3, 9, 9)


def test_a_module_that_cannot_be_pickled_is_exported_without_it(torch, nets, tmp_path):
    net = nets["Net"]
    net.held = (each for each in ())
    model = Model.from_torch(net, torch.rand(1, 3, 8, 8), path=tmp_path / "net.onnx")

    assert not module_path(model.path).exists()
    assert "generator" in torch_origin(model).missing
    assert any("was not kept" in finding.seen for finding in model.findings())


def test_weights_over_a_limit_lie_in_one_file_beside_the_model(torch, nets, tmp_path):
    from workbench.model.pytorch.from_torch import _publish

    (tmp_path / "draft").mkdir()
    draft, target = tmp_path / "draft" / "net.onnx", tmp_path / "net.onnx"
    model = Model.from_torch(torch.nn.Linear(64, 64), torch.rand(1, 64), path=draft)
    whole = onnx.load(draft)
    onnx.save_model(whole, draft, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0)
    _publish(draft, target)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["draft", "net.onnx", "net.onnx.data", "net.torch.pt"]
    assert Model.load(target).parameters == model.parameters


def test_only_a_module_is_taken(torch):
    with pytest.raises(TypeError, match=r"torch.nn.Module, got int"):
        Model.from_torch(3, torch.rand(1))


def test_without_pytorch_the_line_that_installs_it_is_told(no_torch):
    with pytest.raises(Unavailable, match=r"Model\.from_torch needs PyTorch") as told:
        Model.from_torch(object(), None)

    assert "'torch>=" in told.value.remedy


class FakeTensor:
    dtype, device = "float32", "cpu"

    def detach(self):
        return self


def test_a_call_is_made_again_from_arrays():
    class Module:
        def forward(self, first, *rest, **named):
            pass

    one, two, three, four = (FakeTensor() for _ in range(4))
    call, tensors = call_of(Module(), (one, [two, (three,)], {"deep": four}))

    assert call.inputs == ("first", "rest_0_0", "rest_0_1_0", "rest_1_deep")
    assert call.arguments(tensors) == ((one, [two, (three,)], {"deep": four}), {})
    assert Call([], {"x": "a"}, ("a",)).arguments({"a": 1}) == ((), {"x": 1})


def test_results_have_names_of_their_own():
    tensor = FakeTensor()

    assert [name for name, _ in results_of(tensor)] == ["output"]
    assert [name for name, _ in results_of((tensor, None, tensor))] == ["output_0", "output_2"]
    assert [name for name, _ in results_of([{"boxes": tensor, "x": tensor}], taken=("x",))] == ["boxes", "x_out"]
    with pytest.raises(InputError, match="gives a int"):
        results_of([3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{OLD_OPSET}. Support for this operator was added in version 18, try exporting with this version", "Give opset=18"),
        ("No ONNX function found for <OpOverload(op='prims.bessel_j0', overload='default')>.", "operator prims.bessel_j0"),
        ('Could not guard on data-dependent expression Eq(u0, 1)\n  File "/a/net.py", line 6, in forward', "at /a/net.py:6"),
        ("Constraints violated (batch)! For more information", "Leave that dimension out"),
        ("No module named 'onnxscript'", "pip install onnxscript"),
        ("pages\n## Exception summary\n<class 'ValueError'>: the cause\n", "RuntimeError: the cause"),
    ],
)  # fmt: skip
def test_what_exporters_say_is_explained(text, words):
    found = explained(RuntimeError(text))

    assert words in f"{found.what} {found.remedy}"


def test_what_the_check_calls_a_disagreement():
    from workbench.measure.accuracy import compare_output
    from workbench.runtime.export_check import disagreement

    def why(actual, expected, tolerance=None):
        return disagreement(compare_output("y", np.asarray(actual), np.asarray(expected), "module"), tolerance)

    ones = np.ones(1000, np.float32)
    assert why(ones, ones * np.float32(1.0001)) == ""
    assert "relative L2" in why(ones, ones * 1.1)
    assert why(ones, ones * np.float32(1.1), tolerance=0.2) == ""
    assert why(ones.astype(np.float16), ones * 1.001) == ""
    assert "its shape is [2]" in why(ones[:2], ones[:3])
    assert "NaN or infinite" in why([np.nan, 1.0], [1.0, 1.0])
    assert "zeros" in why(ones, ones * 0)
    assert why(np.arange(1000), np.r_[1, np.arange(1, 1000)]) == ""
    assert "500 of 500" in why(np.arange(500), np.arange(500) + 1)
