import hashlib

import pytest

from tests.runtime.engines.entries import LAPTOP, entry_of, machine
from tests.runtime.engines.ort_files import FUSED, plan, write_engine
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.engines.files import read_engine_file
from workbench.runtime.engines.judge import judge_entry, judge_file
from workbench.runtime.engines.records import EngineFile
from workbench.samples.catalogue import sample_path

RANGES = {"profile": ["image=1x1x8x8:8x1x8x8:32x1x8x8"]}


@pytest.fixture(scope="module")
def model():
    return Model.load(sample_path("digits"))


@pytest.fixture(scope="module")
def changed(model, tmp_path_factory):
    """The same file name, other weights."""
    import onnx

    proto = onnx.load(str(model.path))
    proto.doc_string = "changed"
    path = tmp_path_factory.mktemp("other") / model.path.name
    onnx.save(proto, path)
    return Model.load(path)


def judged(entry, model, settings=None, here=None, **more):
    return judge_entry(entry, here or machine(), model=model, settings=settings or Settings(), **more)


def test_what_these_settings_built_here_is_reachable(model):
    found = judged(entry_of(model), model)
    assert (found.state, found.reasons) == ("reachable", ())
    assert judged(entry_of(model), model, Settings(provider_options={"trt_cuda_graph_enable": True})).state == "reachable"


def test_each_provider_s_engines_are_judged_by_its_own_tensorrt(model):
    native, here = Settings(provider="native"), machine(tensorrt="8.6.0", native_tensorrt="8.6.1")

    assert judged(entry_of(model, native, here), model, native, here).state == "reachable"
    assert judged(entry_of(model, here=here), model, here=here).state == "reachable"
    assert judged(entry_of(model, native, here), model, here=here).reasons == (
        "It was built for the provider 'native', and 'tensorrt' is chosen.",
    )
    newer = machine(tensorrt="8.6.0", native_tensorrt="10.16.0")
    assert "TensorRT 8.6.1 built it; here is 10.16.0." in judged(entry_of(model, native, here), model, native, newer).reasons


def test_same_file_name_with_other_weights_is_stale(model, changed):
    found = judged(entry_of(model), changed)
    assert found.state == "stale"
    assert "content has changed" in found.reasons[0]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(precision="fp16"), "Other precision: built with fp32, asked for fp16."),
        (
            Settings(provider_options={"trt_builder_optimization_level": 1}),
            "Other trt_builder_optimization_level: built with 3, asked for 1.",
        ),
        (Settings(**RANGES), "Other profile of image"),
        (Settings(provider="cpu"), "The cpu provider uses no engines."),
        (Settings(provider="native"), "built for the provider 'tensorrt'"),
        (Settings(session_options={"graph_optimization_level": "disable"}), "Other graph_optimization_level"),
    ],
)
def test_other_settings_are_named(model, settings, reason):
    found = judged(entry_of(model), model, settings)
    assert found.state == "stale"
    assert any(reason in told for told in found.reasons), found.reasons


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (machine(compute_capability="8.6"), "It is for compute capability 9.0; this GPU has 8.6."),
        (machine(tensorrt="10.14.1"), "TensorRT 8.6.1 built it; here is 10.14.1."),
        (machine(onnxruntime="1.18.0"), "ONNX Runtime 1.17.1 built it; here is 1.18.0."),
    ],
)
def test_other_machines_and_versions_are_named_with_and_without_a_model(model, here, reason):
    for found in (judged(entry_of(model), model, here=here), judge_entry(entry_of(model), here)):
        assert found.state == "stale"
        assert reason in found.reasons


def test_engines_for_every_gpu_from_ampere_on_fit_another_one(model):
    settings = Settings(provider_options={"trt_engine_hw_compatible": True})
    entry = entry_of(model, settings)
    assert judged(entry, model, settings, machine(compute_capability="8.6")).state == "reachable"
    found = judged(entry, model, settings, machine(compute_capability="7.5"))
    assert "It needs compute capability 8.0 or later; this GPU has 7.5." in found.reasons


def test_without_a_gpu_an_engine_that_fits_is_elsewhere(model):
    assert judged(entry_of(model), model, here=machine(gpu=None, compute_capability=None, tensorrt=None)).state == "elsewhere"
    assert judge_entry(entry_of(model), LAPTOP.model_copy(update={"onnxruntime": "1.17.1"})).state == "elsewhere"


def test_without_a_model_nothing_is_claimed(model):
    assert judge_entry(entry_of(model), machine()).state == "unjudged"


@pytest.mark.parametrize(("content", "reason"), [(b"other", "is corrupt"), (None, "cannot be read: No such file")])
def test_a_damaged_or_missing_file_is_seen_before_it_is_loaded(model, tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a_sm90.engine").write_bytes(content)
    found = judged(entry_of(model), model, folder=tmp_path)
    assert found.state == "stale"
    assert reason in found.reasons[0]


def test_a_whole_file_is_reachable(model, tmp_path):
    (tmp_path / "a.engine").write_bytes(plan())
    file = EngineFile(name="a.engine", bytes=128, sha256=hashlib.sha256(plan()).hexdigest())
    assert judged(entry_of(model, files=(file,)), model, folder=tmp_path).state == "reachable"


def test_an_empty_engine_is_stale(model):
    found = judged(entry_of(model, files=(EngineFile(name="a.engine", bytes=0),)), model)
    assert found.reasons == ("a.engine: The file is empty.",)


# Files of ONNX Runtime's own cache


def file_of(folder, model, suffix="_sm90.engine", **more):
    name = FUSED.replace("main_graph", model.proto.graph.name) + suffix
    return read_engine_file(write_engine(folder, name, **more))


def judged_file(file, model, settings=None, here=None):
    return judge_file(file, here or machine(), model=model, settings=settings or Settings())


IMAGE = {"image": [0, 1, 32, 8]}


def test_onnxruntimes_own_engine_is_possible_at_best_and_says_what_it_ignores(model, tmp_path):
    file = file_of(tmp_path, model, ranges=IMAGE)
    found = judged_file(file, model, Settings(**RANGES, provider_options={"trt_builder_optimization_level": 1}))
    assert (found.state, found.reasons) == ("possible", ())
    assert "weights" in found.unknown[0]
    assert "trt_builder_optimization_level" in found.unknown[1]
    assert judge_file(file, LAPTOP).state == "elsewhere"
    assert judge_file(file, machine()).state == "unjudged"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(precision="fp16", **RANGES), "Other precision: its name says fp32, asked for fp16."),
        (Settings(profile=["image=1x1x8x8:8x1x8x8:64x1x8x8"]), "do not cover those asked for"),
        (Settings(profile=["image=1x1x8x8:4x1x8x8:32x1x8x8"]), "built for other ranges"),
        (Settings(profile=["a=1:2:3", "b=1:2:3"]), "speaks of 1 dynamic input, the profile 2"),
        (Settings(profile=["a=1:2:3"]), "which the shape profile does not name"),
        (Settings(provider_options={"trt_engine_cache_prefix": "mine"}), "does not begin with trt_engine_cache_prefix"),
        (Settings(provider="cpu"), "does not look into"),
    ],
)
def test_what_onnxruntime_notices_is_named(model, tmp_path, settings, reason):
    found = judged_file(file_of(tmp_path, model, ranges=IMAGE), model, settings)
    assert found.state == "stale"
    assert any(reason in told for told in found.reasons), found.reasons


def test_ranges_without_an_explicit_profile_may_be_any(model, tmp_path):
    assert judged_file(file_of(tmp_path, model, ranges=IMAGE), model).state == "possible"


def test_no_profile_file_beside_a_dynamic_engine_means_a_new_build(model, tmp_path):
    found = judged_file(file_of(tmp_path, model), model)
    assert "No .profile file lies beside it" in found.reasons[0]


def test_an_engine_of_another_graph_architecture_or_version_is_stale(model, tmp_path):
    found = judged_file(read_engine_file(write_engine(tmp_path, ranges=IMAGE)), model, Settings(precision="fp16"))
    assert any("another model" in reason for reason in found.reasons)
    found = judged_file(file_of(tmp_path, model, "_sm86.engine", content=plan((10, 14, 1, 48)), ranges=IMAGE), model)
    assert "TensorRT 10.14.1.48 built it; here is 8.6.1." in found.reasons
    assert "It is for compute capability 8.6; this GPU has 9.0." in found.reasons


def test_a_prefixed_engine_fits_its_prefix_only(model, tmp_path):
    file = read_engine_file(write_engine(tmp_path, "mine_13312345678901234567_0_sm90.engine", ranges=IMAGE))
    settings = Settings(provider_options={"trt_engine_cache_prefix": "mine"})
    assert judged_file(file, model, settings).state == "possible"
    assert judged_file(file, model).state == "stale"


def test_a_torn_file_is_stale_because_onnxruntime_fails_on_it(model, tmp_path):
    found = judged_file(file_of(tmp_path, model, content=b"", ranges=IMAGE), model)
    assert "ONNX Runtime fails on such a file" in found.reasons[0]


def test_an_encrypted_engine_needs_decryption(model, tmp_path):
    file = file_of(tmp_path, model, "_sm90.engine.encrypted", ranges=IMAGE)
    assert "It is encrypted, and decryption is off." in judged_file(file, model).reasons
    file = file_of(tmp_path, model, "_sm90.stripped.engine", ranges=IMAGE)
    assert any("no weights" in reason for reason in judged_file(file, model).reasons)


def test_another_plan_is_not_one_that_onnxruntime_looks_for(model, tmp_path):
    found = judged_file(read_engine_file(write_engine(tmp_path, "trtexec.plan")), model)
    assert found.reasons == ("Its name is not one that ONNX Runtime gives: it does not look for it.",)


NATIVE = Settings(provider="native")
AT_4 = NATIVE.replace(profile=["image=4x1x8x8:4x1x8x8:4x1x8x8"])


def test_a_native_engine_of_the_inputs_shapes_is_reachable_and_says_so(model):
    entry = entry_of(model, AT_4, provider="native", onnxruntime=None)
    found = judged(entry, model, NATIVE)
    assert (found.state, found.reasons) == ("reachable", ())
    assert found.unknown == (
        "It was built for inputs of these shapes: image 4×1×8×8. A run on other shapes, without a shape profile, builds anew.",
    )
    assert judged(entry, model, AT_4).unknown == ()
    assert judged(entry, model, AT_4).state == "reachable"


def test_a_native_engine_of_other_settings_is_stale_for_those_alone(model):
    entry = entry_of(model, AT_4, provider="native", onnxruntime=None)
    found = judged(entry, model, NATIVE.replace(precision="fp16"))
    assert found.state == "stale"
    assert found.reasons == ("Other precision: built with fp32, asked for fp16.",)
    other = judged(entry, model, NATIVE.replace(**RANGES))
    assert "Other profile of image" in other.reasons[0]


def test_a_native_engine_of_a_range_needs_its_profile(model):
    entry = entry_of(model, NATIVE.replace(**RANGES), provider="native", onnxruntime=None)
    assert judged(entry, model, NATIVE).state == "stale"
    assert judged(entry, model, NATIVE, LAPTOP).state == "stale"
    assert judged(entry_of(model, AT_4, provider="native", onnxruntime=None), model, NATIVE, LAPTOP).state == "elsewhere"
