import pytest
from onnx import helper

from tests.placement.build import proto, saved, value
from workbench.errors import JobError, ModelError
from workbench.runtime.engines.context import (
    METADATA,
    ContextOrigin,
    check_context,
    context_findings,
    is_context_model,
    refuse_unusable,
)
from workbench.runtime.environment import environment

PLAN = bytes.fromhex("66747274") + bytes(20) + bytes([8, 6, 1, 6]) + b"the plan"
CONTRIB = [("com.microsoft", 1)]


@pytest.fixture
def here():
    return environment().model_copy(
        update={"compute_capability": "9.0", "gpu": "H200", "tensorrt": "8.6.1", "onnxruntime": "1.17.1"}
    )


def context_node(**attributes):
    usual = {"embed_mode": 0, "ep_cache_context": "model.engine", "hardware_architecture": "90", "onnx_model_filename": "m.onnx"}
    given = {key: held for key, held in (usual | attributes).items() if held is not None}
    return helper.make_node("EPContext", ["x"], ["y"], name="EPContext", domain="com.microsoft", **given)


@pytest.fixture
def context(tmp_path):
    def make(*nodes, engine=PLAN, name="model_ctx", **attributes):
        if engine is not None:
            (tmp_path / "model.engine").write_bytes(engine)
        return saved(tmp_path, proto(nodes or [context_node(**attributes)], inputs=[value("x")], imports=CONTRIB), name)

    return make


def errors(checked):
    return [finding.seen for finding in checked.findings if finding.level == "error"]


def test_an_engine_beside_is_read_and_fits(context, here):
    checked = check_context(context(source="TensorrtExecutionProvider"), here)
    assert (checked.engine, checked.bytes, checked.tensorrt, checked.architecture) == ("model.engine", len(PLAN), "8.6.1.6", "90")
    assert checked.original == "m.onnx"
    assert checked.findings == ()
    assert checked.usable


def test_an_engine_inside_is_read_and_fits(context, here):
    checked = check_context(context(embed_mode=1, ep_cache_context=PLAN, engine=None), here)
    assert (checked.embedded, checked.engine, checked.bytes, checked.tensorrt) == (True, None, len(PLAN), "8.6.1.6")
    assert checked.usable


def test_a_node_without_a_source_is_of_the_first_releases_and_taken(context, here):
    assert check_context(context(), here).usable


@pytest.mark.parametrize("source", ["QNNExecutionProvider", "OpenVINOExecutionProvider", "NvTensorRTRTXExecutionProvider"])
def test_a_node_of_another_provider_is_named(context, here, source):
    checked = check_context(context(source=source), here)
    assert errors(checked) == [f"it was compiled for {source.removesuffix('ExecutionProvider')}, not for TensorRT"]


def test_a_missing_engine_is_told_with_its_place(context, here, tmp_path):
    checked = check_context(context(engine=None), here)
    assert errors(checked) == ["its engine 'model.engine' is missing"]
    assert str(tmp_path / "model.engine") in checked.findings[0].action


@pytest.mark.parametrize("name", ["/somewhere/model.engine", "../model.engine", "a/../../model.engine", ""])
def test_paths_that_lead_out_of_the_folder_are_refused(context, here, name):
    assert len(errors(check_context(context(ep_cache_context=name), here))) == 1


def test_a_link_out_of_the_folder_is_refused(context, here, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}.engine"
    outside.write_bytes(PLAN)
    (tmp_path / "link.engine").symlink_to(outside)
    assert "link" in errors(check_context(context(ep_cache_context="link.engine"), here))[0]


def test_a_file_that_is_no_engine_is_told(context, here):
    assert "does not begin as a TensorRT plan" in errors(check_context(context(engine=b"x" * 100), here))[0]
    assert "empty" in errors(check_context(context(embed_mode=1, ep_cache_context=b""), here))[0]


def test_another_gpu_and_another_tensorrt_are_errors(context, here):
    other = here.model_copy(update={"compute_capability": "8.0", "tensorrt": "10.14.1"})
    told = errors(check_context(context(), other))
    assert "compute capability 9.0; this GPU has 8.0" in told[0]
    assert "TensorRT 8.6.1.6 built it; here is 10.14.1" in told[1]
    assert errors(check_context(context(hardware_architecture="80+"), other)) == told[1:]


def test_without_a_gpu_what_was_read_is_compared_with_nothing(context, here):
    checked = check_context(context(), here.model_copy(update={"compute_capability": None, "gpu": None}))
    assert checked.usable
    assert [finding.where for finding in checked.findings] == ["machine"]


def test_a_graph_of_more_than_the_node_is_refused(context, here):
    relu = helper.make_node("Relu", ["y"], ["z"], name="r")
    assert "1 EPContext nodes and 1 others" in errors(check_context(context(context_node(), relu), here))[0]


def test_a_node_without_an_engine_is_refused(context, here):
    assert errors(check_context(context(ep_cache_context=None), here)) == ["the node neither holds an engine nor names one"]


def test_an_engine_without_weights_and_an_encrypted_one_are_told(context, here, tmp_path):
    (tmp_path / "m.stripped.engine").write_bytes(PLAN)
    (tmp_path / "m.engine.encrypted").write_bytes(b"secret" * 9)
    stripped = check_context(context(ep_cache_context="m.stripped.engine"), here)
    assert [f.level for f in stripped.findings] == ["warning"]
    assert "encrypted" in errors(check_context(context(ep_cache_context="m.engine.encrypted"), here))[0]


def test_engines_of_other_parts_beside_it_are_told(context, here, tmp_path):
    def engine(part, model="13005294240540148151"):
        name = f"TensorrtExecutionProvider_TRTKernel_graph_detector_{model}_{part}_{part}_sm90.engine"
        (tmp_path / name).write_bytes(PLAN)
        return name

    first = engine(0)
    engine(1, model="77")
    assert check_context(context(ep_cache_context=first), here).findings == ()
    engine(1)
    engine(3)
    (told,) = check_context(context(ep_cache_context=first), here).findings
    assert (told.level, told.seen) == ("warning", "beside it lie engines of 2 more parts of the same model")
    assert "in 3 parts" in told.meaning


def test_an_original_that_has_changed_since_is_told(context, here, tmp_path):
    original = saved(tmp_path, proto([helper.make_node("Relu", ["x"], ["y"], name="r")]), "m")
    made = context()
    entry = made.proto.metadata_props.add()
    entry.key = METADATA
    entry.value = ContextOrigin(model="m.onnx", content_hash="of before", settings="tensorrt").model_dump_json()
    checked = check_context(made, here)
    assert [finding.seen for finding in checked.findings] == ["m.onnx has changed since"]
    entry.value = ContextOrigin(model="m.onnx", content_hash=original.content_hash(), settings="tensorrt").model_dump_json()
    assert check_context(made, here).findings == ()
    assert check_context(made, here).origin.model == "m.onnx"


def test_another_model_is_no_context_model(tmp_path, here):
    plain = saved(tmp_path, proto([helper.make_node("Relu", ["x"], ["y"], name="r")]))
    assert not is_context_model(plain)
    assert context_findings(plain) == ()
    with pytest.raises(ModelError, match="no EP context model"):
        check_context(plain, here)


def test_an_unusable_one_is_refused_before_a_session_is_made(context, here):
    refuse_unusable(context(), here)
    with pytest.raises(JobError, match=r"model_ctx\.onnx: it was compiled for QNN") as error:
        refuse_unusable(context(source="QNN"), here)
    assert error.value.kind == "load"
