import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from workbench.errors import InputError, JobError, ModelError, SettingsError
from workbench.measure.accuracy import compare_output
from workbench.measure.task import TaskMetric
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.runtime.data.dataset import DataSource
from workbench.runtime.lowering.trials import Ground, Lowering, NodeEvidence, SetMeasured
from workbench.samples.catalogue import samples
from workbench.samples.encoder import Encoder, Sizes
from workbench.study.journal import Journal
from workbench.study.sensitivity import Search, find_sensitive, write_repaired
from workbench.study.sensitivity_records import SetError
from workbench.study.target import Target

DIGITS = samples()[0]


def scaled(proto, after, factor):
    """Multiply a tensor and divide it again: right in float32, infinite between the two in float16."""
    graph = proto.graph
    at = next(i for i, node in enumerate(graph.node) if node.name == after)
    source = graph.node[at].output[0]
    graph.initializer.append(numpy_helper.from_array(np.float32(factor), "factor"))
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = "planted.out" if name == source else name
    mul = helper.make_node("Mul", [source, "factor"], ["planted.scaled"], name="/planted/Mul")
    div = helper.make_node("Div", ["planted.scaled", "factor"], ["planted.out"], name="/planted/Div")
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in (*graph.node[: at + 1], mul, div, *graph.node[at + 1 :])]
    del graph.node[:]
    graph.node.extend(nodes)
    return proto


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    path = tmp_path_factory.mktemp("planted") / "planted.onnx"
    proto = scaled(Encoder(Sizes(layers=9, hidden=32, inner=64)).model(), "/layer5/mlp/residual/Add", 5e4)
    path.write_bytes(proto.SerializeToString())
    return Model.load(path)


def lowering(model, **changes):
    return Lowering(model=str(model.path), **changes)


def test_a_planted_overflow_in_a_transformer_is_found_as_its_nodes(planted, tmp_path):
    assert len(planted.nodes) >= 300
    found = find_sensitive(planted, lowering(planted))
    assert (found.status, set(found.keep)) == ("found", {"/planted/Mul", "/planted/Div"})
    assert "reaches" in found.ranking[0].node.causes[0]
    assert "over 65,504" in found.ranking[0].node.causes[0]
    assert found.lowered.not_finite > 0
    assert found.repaired.rel_l2 < 0.01
    assert found.verified.ok
    assert "/planted/Mul:fp32" in found.layer_precisions()
    write_repaired(planted, found, tmp_path / "repaired.onnx")
    assert {spec.dtype for spec in Model.load(tmp_path / "repaired.onnx").outputs} == {"float32"}


def test_answers_are_kept_and_found_again(planted, tmp_path):
    first = find_sensitive(planted, lowering(planted), folder=tmp_path)
    again = find_sensitive(planted, lowering(planted), Target(rel_l2=0.02), folder=tmp_path)
    assert first.tried > 0
    assert (again.tried, again.keep) == (0, first.keep)


def test_a_search_that_is_killed_goes_on_where_it_was(planted, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from workbench.model.model import Model\n"
        "from workbench.runtime.lowering.trials import Lowering\n"
        "from workbench.study.sensitivity import find_sensitive\n"
        "from workbench.study.target import Target\n"
        "model = Model.load(sys.argv[1])\n"
        "find_sensitive(model, Lowering(model=sys.argv[1]), Target(rel_l2=1e-4), folder=Path(sys.argv[2]))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(planted.path), str(tmp_path)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sum(f.read_bytes().count(b"\n") for f in tmp_path.glob("*.jsonl")) < 4:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    (journal,) = tmp_path.glob("*.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"keep": ["/planted')  # a line that was cut off
    before = len(Journal(journal).known)
    trials = []
    found = find_sensitive(planted, lowering(planted), folder=tmp_path, on_trial=trials.append)
    assert found.recalled >= 2
    assert set(found.keep) == {"/planted/Mul", "/planted/Div"}
    assert len(Journal(journal).known) == before + found.tried


def test_a_model_that_lowers_well_needs_nothing(digits):
    data = DataSource(path=str(DIGITS.test_set))
    found = find_sensitive(digits, lowering(digits, data=data, samples=100, task=TaskMetric()), Target(task_drop=0.5))
    assert (found.status, found.keep, found.tried) == ("found", (), 1)
    assert found.lowered.task_drop == 0
    assert "whole model can be fp16" in found.sentence


def test_int8_is_searched_by_leaving_nodes_out(digits):
    data = DataSource(path=str(DIGITS.test_set))
    found = find_sensitive(digits, lowering(digits, to="int8", data=data, samples=64), Target(rel_l2=0.01))
    assert found.status == "found"
    assert 0 < len(found.keep) < len(found.ranking)
    assert found.lowered.rel_l2 > 0.01 >= found.repaired.rel_l2
    with pytest.raises(ModelError, match="calibrated ranges"):
        write_repaired(digits, found, "unused.onnx")


def test_int8_with_calibrated_ranges_is_written(digits, tmp_path):
    tensors = ["image", *(name for node in digits.nodes for name in node.proto.output)]
    asked = lowering(digits, to="int8", ranges=dict.fromkeys(tensors, 10.0), data=DataSource(path=str(DIGITS.test_set)))
    found = find_sensitive(digits, asked, Target(rel_l2=0.05))
    write_repaired(digits, found, tmp_path / "int8.onnx")
    operators = [node.op_type for node in Model.load(tmp_path / "int8.onnx").nodes]
    assert ("QuantizeLinear" in operators) == (len(found.keep) < len(found.ranking))


def masked(tmp_path, value):
    """Return attention scores with a mask, as exporters write it: (1 - mask) * value, added before a softmax."""
    nodes = [
        helper.make_node("Sub", ["one", "mask"], ["out"], name="/mask/Sub"),
        helper.make_node("Mul", ["out", "value"], ["bias"], name="/mask/Mul"),
        helper.make_node("Add", ["scores", "bias"], ["masked"], name="/scores/Add"),
        helper.make_node("Softmax", ["masked"], ["shares"], name="/Softmax", axis=-1),
    ]
    given = [helper.make_tensor_value_info(name, 1, [2, 4]) for name in ("scores", "mask")]
    weights = [numpy_helper.from_array(np.float32(1), "one"), numpy_helper.from_array(np.float32(value), "value")]
    graph = helper.make_graph(nodes, "masked", given, [helper.make_tensor_value_info("shares", 1, [2, 4])], weights)
    path = tmp_path / "masked.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    np.savez(
        tmp_path / "data.npz",
        scores=np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32),
        mask=np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.float32),
    )
    return Model.load(path), DataSource(path=str(tmp_path / "data.npz"))


def test_a_softmax_mask_is_named_as_the_cause(tmp_path):
    model, data = masked(tmp_path, -1e9)
    found = find_sensitive(model, lowering(model, data=data))
    assert found.status == "found"
    assert "/mask/Mul" in found.keep
    cause = next(row.node.causes for row in found.ranking if row.node.name == "/mask/Mul")
    assert any(text.startswith("softmax mask") and "-1e+09" in text for text in cause)
    assert any("-1e4" in line for line in found.advice())


def test_clipping_weights_repairs_a_softmax_mask(tmp_path):
    model, data = masked(tmp_path, -1e9)
    assert find_sensitive(model, lowering(model, data=data, clip=True)).keep == ()


def test_the_square_of_a_layer_norm_is_named_as_the_cause(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], name="/norm/ReduceMean", axes=[-1], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["centred"], name="/norm/Sub"),
        helper.make_node("Pow", ["centred", "two"], ["square"], name="/norm/Pow"),
        helper.make_node("ReduceMean", ["square"], ["variance"], name="/norm/ReduceMean_1", axes=[-1], keepdims=1),
        helper.make_node("Sqrt", ["variance"], ["deviation"], name="/norm/Sqrt"),
        helper.make_node("Div", ["centred", "deviation"], ["y"], name="/norm/Div"),
    ]
    graph = helper.make_graph(
        nodes,
        "norm",
        [helper.make_tensor_value_info("x", 1, [2, 64])],
        [helper.make_tensor_value_info("y", 1, [2, 64])],
        [numpy_helper.from_array(np.float32(2), "two")],
    )
    path = tmp_path / "norm.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    np.savez(tmp_path / "data.npz", x=(1000 * np.random.default_rng(0).standard_normal((2, 64))).astype(np.float32))
    model = Model.load(path)
    found = find_sensitive(model, lowering(model, data=DataSource(path=str(tmp_path / "data.npz"))))
    assert "/norm/Pow" in found.keep
    cause = next(row.node.causes for row in found.ranking if row.node.name == "/norm/Pow")
    assert any(text.startswith("square: 'square' reaches") for text in cause)
    assert any("trt_layer_norm_fp32_fallback" in line for line in found.advice())


def test_cancelling_and_the_time_limit_end_the_search(planted):
    cancelled = threading.Event()
    found = find_sensitive(planted, lowering(planted), on_trial=lambda _: cancelled.set(), cancelled=cancelled)
    assert (found.status, found.holds) == ("stopped", False)
    assert find_sensitive(planted, lowering(planted), limit_s=0.01).status == "stopped"


def test_bad_input_is_one_error(digits, tmp_path):
    np.savez(tmp_path / "data.npz", image=np.zeros((2, 1, 8, 8), np.float32))
    with pytest.raises(InputError, match="no labels"):
        find_sensitive(digits, lowering(digits, data=DataSource(path=str(tmp_path / "data.npz")), task=TaskMetric()))
    with pytest.raises(InputError, match=r"cannot be read as \.npz"):
        find_sensitive(digits, lowering(digits, data=DataSource(path=str(tmp_path / "none.npz"))))
    profile = ShapeProfile.from_arguments(["image=1x1x9x8:1x1x9x8:1x1x9x8"])
    with pytest.raises(SettingsError, match="the model fixes it to 8"):
        find_sensitive(digits, lowering(digits, settings=Settings(provider="cpu", profile=profile)))


class Fakes:
    """Answers like the process; a set holds where it covers what is needed."""

    def __init__(self, needed, crashes=()):
        self.needed, self.crashes, self.asked = set(needed), crashes, []

    def open(self):
        raise AssertionError

    def measure(self, keep, *, emulate=None):  # noqa: ARG002
        self.asked.append(frozenset(keep))
        if any(set(crash) == set(keep) for crash in self.crashes):
            return SetMeasured(seconds=0, failure="the process ended with exit status -11")
        missing = len(self.needed - set(keep))
        rows = (compare_output("y", np.array([1.0 + missing, 1]), np.array([1.0, 1]), "reference"),)
        return SetMeasured(accuracy=rows, seconds=0)


def search(needed, candidates, crashes=(), stopped=lambda: False):
    ground = Ground(candidates=tuple(candidates), inputs="", samples=1, origin="", reference="", emulated=False)
    probes = Fakes(needed, crashes)
    found = Search(probes, ground, Target(rel_l2=1e-3), Journal(None), lambda _: None, stopped)
    return found.result("m", "hash", Lowering(model="m"), time.monotonic()), probes


def nodes(count):
    return [NodeEvidence(name=f"/block{i // 10}/part/node{i}", op_type=f"Op{i % 7}") for i in range(count)]


def test_nodes_that_nothing_points_to_are_found_among_hundreds():
    found, probes = search(["/block3/part/node31", "/block17/part/node170"], nodes(400))
    assert set(found.keep) == {"/block3/part/node31", "/block17/part/node170"}
    assert len(probes.asked) == len(set(probes.asked)) < 150


def test_what_looks_guilty_is_tried_first():
    candidates = nodes(400)
    candidates[123] = candidates[123].model_copy(update={"hard": True, "largest": 1e5})
    found, probes = search([candidates[123].name], candidates)
    assert (found.keep, len(probes.asked)) == ((candidates[123].name,), 2)


def test_a_set_that_ends_the_process_counts_as_failing_and_is_told():
    found, _ = search(["/block0/part/node1"], nodes(20), crashes=[["/block0/part/node0"]])
    assert found.keep == ("/block0/part/node1",)
    assert "1 sets could not be run" in found.findings[0].seen


def test_a_target_that_cannot_be_met_is_said():
    found, _ = search(["nowhere"], nodes(20))
    assert (found.status, found.holds) == ("impossible", False)
    assert "even with every candidate in float32" in found.sentence


def test_records_survive_json(planted):
    found, _ = search(["/block0/part/node1"], nodes(20))
    assert type(found).model_validate(json.loads(found.model_dump_json())) == found


def test_a_provider_that_does_not_run_graphs_is_refused(digits):
    with pytest.raises(SettingsError, match="'torch' does not use"):
        find_sensitive(digits, lowering(digits, settings=Settings(provider="torch")))


def test_flags_come_near_where_only_layer_norms_must_stay():
    candidates = [NodeEvidence(name="/norm", op_type="LayerNormalization"), *nodes(10)]
    found, _ = search(["/norm"], candidates)
    assert found.flag_settings().provider_options["trt_layer_norm_fp32_fallback"] is True
    other, _ = search(["/block0/part/node1"], candidates)
    assert other.flag_settings() is None


def test_a_provider_that_is_missing_is_said(digits):
    with pytest.raises((JobError, InputError), match=r"CUDAExecutionProvider|cannot be imported"):
        find_sensitive(digits, lowering(digits, settings=Settings(provider="cuda")))


def test_a_trial_that_holds_says_that_it_is_the_smallest_so_far():
    ground = Ground(candidates=tuple(nodes(8)), inputs="", samples=1, origin="", reference="", emulated=False)
    trials = []
    search = Search(Fakes(["/block0/part/node5"]), ground, Target(rel_l2=1e-3), Journal(None), trials.append, lambda: False)
    search.result("m", "hash", Lowering(), time.monotonic())

    assert all(trial.best is not None and trial.best <= trial.kept for trial in trials if trial.error.ok)
    assert [trial.best for trial in trials][-1] == 1
    assert any(": 1 node in float32: " in str(trial) for trial in trials)


def test_a_real_graph_that_misses_what_its_emulation_meets_is_told():
    class Unrounded(Fakes):
        def measure(self, keep, *, emulate=None):
            return super().measure(keep if emulate is None else [], emulate=emulate)

    ground = Ground(candidates=tuple(nodes(8)), inputs="", samples=1, origin="", reference="", emulated=True)
    probes = Unrounded(["/block0/part/node5"])
    search = Search(probes, ground, Target(rel_l2=1e-3), Journal(None), lambda _: None, lambda: False)
    found = search.result("m", "hash", Lowering(), time.monotonic())

    assert (found.status, found.verified.ok) == ("found", False)
    assert "misses the target" in found.findings[0].seen


def test_no_points_lost_are_not_less_than_none():
    measured = SetMeasured(accuracy=(), seconds=0)
    error = SetError.of(measured, Target(rel_l2=1e-3)).model_copy(update={"rel_l2": 0.01, "task_drop": -1e-9})
    assert str(error) == "relative L2 0.01, 0.00 points lost"
