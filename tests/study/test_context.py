from pathlib import Path

import onnx
import pytest
from onnx import helper

from tests.panels.models import chain_model
from tests.placement.build import node, proto, saved, value
from workbench.errors import JobError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.placement.records import CPU, TENSORRT, Group, PlacedNode, Placement, RuntimeVersions
from workbench.record import Failure
from workbench.runtime.environment import environment
from workbench.runtime.job import Build, Outcome
from workbench.study.context import context_obstacles, dump_context

PLAN = bytes.fromhex("66747274") + bytes(20) + bytes([8, 6, 1, 6])
ENGINE = "TensorrtExecutionProvider_TRTKernel_graph_main_1_0_0_sm90.engine"


class DumpingWorker:
    """Writes what ONNX Runtime would: an engine under its own name, and a model that names or holds it."""

    def __init__(self, plan=PLAN + b"one", *, writes=True, groups=1):
        self.plan, self.writes, self.groups = plan, writes, groups
        self.jobs = []

    def run(self, job, *_):
        self.jobs.append(job)
        options = job.settings.provider_options
        path = options["trt_ep_context_file_path"]
        if self.writes:
            embedded = options["trt_ep_context_embed_mode"]
            folder = Path(path).parent
            (folder / ENGINE).write_bytes(self.plan)
            held = self.plan if embedded else ENGINE
            made = helper.make_node(
                "EPContext",
                ["x"],
                ["y"],
                name="EPContext",
                domain="com.microsoft",
                embed_mode=embedded,
                ep_cache_context=held,
                hardware_architecture="90",
                onnx_model_filename="model.onnx",
            )
            onnx.save(proto([made], inputs=[value("x", shape=(1, 4))], imports=[("com.microsoft", 1)]), path)
        groups = tuple(Group(provider=TENSORRT, nodes=()) for _ in range(self.groups))
        placement = Placement(model="model", evidence="measured", runtime=RuntimeVersions(), groups=groups)
        return Outcome(status="ok", placement=placement, build=Build(seconds=55.0, cache="cold"), environment=environment())


@pytest.fixture
def here():
    return environment().model_copy(update={"compute_capability": "9.0", "gpu": "H200", "tensorrt": "8.6.1"})


@pytest.fixture
def static(tmp_path):
    return saved(tmp_path, proto([node("Relu", ["x"], ["y"])], inputs=[value("x", shape=(1, 4))]))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_dump_is_published_with_its_engine_beside_it(static, here, tmp_path):
    worker = DumpingWorker()
    dumped = dump_context(static, Settings(), here=here, worker=worker)
    assert files(tmp_path) == sorted(["model.onnx", "model_ctx.onnx", dumped.engine])
    assert (dumped.path, dumped.seconds) == (str(tmp_path / "model_ctx.onnx"), 55.0)
    assert dumped.checked.usable
    assert dumped.checked.origin.content_hash == static.content_hash()
    assert (tmp_path / dumped.engine).read_bytes() == worker.plan
    assert predict(Model.load(dumped.path)).engines() == 1


def test_an_engine_can_go_into_the_file(static, here, tmp_path):
    dumped = dump_context(static, Settings(), tmp_path / "a" / "all.onnx", embed=True, here=here, worker=DumpingWorker())
    assert files(tmp_path / "a") == ["all.onnx"]
    assert (dumped.engine, dumped.checked.embedded, dumped.checked.tensorrt) == (None, True, "8.6.1.6")


def test_the_session_gets_an_empty_folder_whatever_the_user_named(static, here, tmp_path):
    worker = DumpingWorker()
    settings = Settings(provider_options={"trt_engine_cache_path": "elsewhere", "trt_engine_cache_prefix": "p"}, precision="fp16")
    dump_context(static, settings, here=here, worker=worker)
    (job,) = worker.jobs
    options = job.settings.provider_options
    assert "trt_engine_cache_path" not in options
    assert "trt_engine_cache_prefix" not in options
    assert options["trt_dump_ep_context_model"] is True
    assert job.settings.precision == "fp16"
    assert job.cache is None
    assert not job.plan.latency


def test_a_second_dump_takes_the_place_of_the_first_and_its_engine(static, here, tmp_path):
    first = dump_context(static, Settings(), here=here, worker=DumpingWorker(PLAN + b"one"))
    second = dump_context(static, Settings(), here=here, worker=DumpingWorker(PLAN + b"two"))
    assert first.engine != second.engine
    assert files(tmp_path) == sorted(["model.onnx", "model_ctx.onnx", second.engine])


def test_a_failure_leaves_what_was_there(static, here, tmp_path):
    first = dump_context(static, Settings(), here=here, worker=DumpingWorker())
    before = files(tmp_path)
    with pytest.raises(JobError, match="does not begin as a TensorRT plan"):
        dump_context(static, Settings(), here=here, worker=DumpingWorker(b"x" * 50))
    with pytest.raises(JobError, match="wrote no context model"):
        dump_context(static, Settings(), here=here, worker=DumpingWorker(writes=False))
    with pytest.raises(JobError, match="runs 2 parts"):
        dump_context(static, Settings(), here=here, worker=DumpingWorker(groups=2))
    assert files(tmp_path) == before
    assert (tmp_path / first.engine).exists()


def test_a_failed_session_is_the_failure(static, here):
    class Failing(DumpingWorker):
        def run(self, *_):
            return Outcome(status="failed", error=Failure(kind="provider", message="No TensorRT.", remedy="Install it."))

    with pytest.raises(JobError, match="No TensorRT") as error:
        dump_context(static, Settings(), here=here, worker=Failing())
    assert error.value.kind == "provider"


def test_files_that_are_no_context_model_are_not_overwritten(static, here, tmp_path):
    (tmp_path / "other.onnx").write_bytes(static.path.read_bytes())
    worker = DumpingWorker()
    for name, told in (("other.onnx", "is no EP context model"), ("model.onnx", "the model itself")):
        with pytest.raises(JobError, match=told):
            dump_context(static, Settings(), tmp_path / name, here=here, worker=worker)
    assert worker.jobs == []


def seen(model, settings=None, **given):
    return " ".join(f"{finding.seen}." for finding in context_obstacles(model, settings or Settings(), **given))


def test_what_onnxruntime_would_dump_in_vain_is_refused_beforehand(tmp_path, static):
    dynamic = saved(tmp_path, proto([node("Relu", ["x"], ["y"])]), "dynamic")
    split = saved(
        tmp_path,
        proto(
            [node("Relu", ["x"], ["a"]), node("Hardmax", ["a"], ["b"]), node("Exp", ["b"], ["y"])],
            inputs=[value("x", shape=(1, 4))],
        ),
        "split",
    )
    assert context_obstacles(static, Settings()) == []
    assert context_obstacles(dynamic, Settings(profile=["x=1x4:2x4:4x4"])) == []
    assert "no shape profile is given, and x may change shape" in seen(dynamic)
    assert "TensorRT runs 2 parts of the model (predicted)" in seen(split, tensorrt="8.6")
    assert "1 node outside TensorRT (predicted): b (Hardmax)" in seen(split, tensorrt="8.6")
    assert "it is 'cuda'" in seen(static, Settings(provider="cuda"))
    assert "takes nothing" in seen(static, Settings(provider_options={"trt_op_types_to_exclude": "Relu"}))


def test_an_engine_in_a_body_is_refused(tmp_path):
    model = chain_model(tmp_path / "chain.onnx")
    engines = {name: at for at, name in enumerate(["Relu", "Neg"])}
    nodes = tuple(
        PlacedNode(
            name=n.name,
            op_type=n.op_type,
            provider=TENSORRT if n.name in engines else CPU,
            group=engines.get(n.name, 2),
            reason="",
        )
        for n in model.nodes
    )
    groups = (*(Group(provider=TENSORRT, nodes=(name,)) for name in engines), Group(provider=CPU, nodes=("choice",)))
    placement = Placement(model="m", evidence="measured", runtime=RuntimeVersions(), groups=groups, nodes=nodes)
    assert "an engine stands in the body of choice." in seen(model, placement=placement)


def test_weights_that_no_onnx_file_holds_are_not_embedded(static, monkeypatch):
    monkeypatch.setitem(static.__dict__, "size_bytes", 3_000_000_000)
    assert "takes about 3.0 GB" in seen(static, embed=True)
    assert seen(static) == ""
    assert seen(static, Settings(precision="fp16"), embed=True) == ""


def test_a_context_model_is_not_dumped_again(static, here, tmp_path):
    dumped = dump_context(static, Settings(), here=here, worker=DumpingWorker())
    assert "is an EP context model already" in seen(Model.load(dumped.path))
