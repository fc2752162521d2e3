import json

from workbench.measure.delivered import EngineDelivered, delivered, told_by_weights
from workbench.measure.layers import EngineLayer, layers_of

# What an engine of ONNX Runtime's provider lists for a model with Q/DQ nodes
NAMES = (
    "x/QuantizeLinear",
    "conv/weight_1/int8 + conv + relu",
    "Reformatting CopyNode for Input Tensor 0 to fc/weight_1/int8 + fc",
    "fc/weight_1/int8 + fc",
    "softmax",
)


def layer(name, precision, ms=None, **more):
    return EngineLayer(name=name, type="x", precision=precision, ms=ms, **more)


ENGINE = (
    layer("a", "fp16", 1.0),
    layer("b", "fp16", 2.0),
    layer("c", "fp32", 1.0),
    layer("r", "fp32", 0.5, moving=True),
)


def test_shares_of_layers_and_of_time():
    found = delivered(ENGINE, ["fp16"])
    assert found.told
    assert [(s.precision, s.layers, s.time_share) for s in found.shares] == [("fp16", 2, 0.75), ("fp32", 1, 0.25)]
    assert found.share("fp16").layer_share == 2 / 3
    assert (found.moving, found.moving_ms, found.warnings) == (1, 0.5, ())
    assert found.sentence() == "fp16 in 2 of 3 layers (75% of the time), fp32 in 1 (25% of the time)"


def test_without_a_profile_there_are_no_times():
    found = delivered([layer("a", "fp16"), layer("c", "fp32")])
    assert [(s.ms, s.time_share) for s in found.shares] == [(None, None)] * 2
    assert found.moving_ms is None
    assert found.sentence() == "fp16 in 1 of 2 layers, fp32 in 1"


def test_a_flag_that_did_nothing_is_a_warning():
    found = delivered(ENGINE, ["int8", "fp16", "fp32"])
    assert found.asked == ("int8", "fp16")
    (warning,) = found.warnings
    assert warning.seen == "int8 was asked for, and no layer computes in it; 2 are fp16"
    assert "did nothing" in warning.meaning
    assert "alibration" in warning.action


def test_an_engine_that_tells_names_only_is_not_judged():
    found = delivered([EngineLayer(name="a"), EngineLayer(name="b")], ["fp16"])
    assert (found.told, found.shares, found.warnings, found.untold) == (False, (), (), 2)
    assert found.sentence() == "the engine does not tell its layers' types"


def test_layers_of_a_second_profile_are_not_counted_twice():
    found = delivered([layer("a", "fp16"), layer("a [profile 1]", "fp16", profile=1)])
    assert found.shares[0].layers == 1


def test_no_layers_at_all():
    assert delivered([], ["fp16"]).told is False


def test_int8_in_few_layers_is_a_warning_by_time_where_it_is_known():
    layers = [layer("q", "int8", 0.2), *(layer(f"f{i}", "fp32", 1.0) for i in range(3))]
    (warning,) = delivered(layers, ["int8"]).warnings
    assert warning.seen == "int8 was asked for, and only 1 of 4 layers compute in it, 6% of the time"
    assert "alibration" in warning.action
    slow = [layer("q", "int8", 9.0), *(layer(f"f{i}", "fp32", 0.1) for i in range(9))]
    assert delivered(slow, ["int8"]).warnings == ()
    untimed = [layer("q", "int8"), *(layer(f"f{i}", "fp32") for i in range(9))]
    assert "only 1 of 10 layers" in delivered(untimed, ["int8"]).warnings[0].seen


def test_a_sixteen_bit_type_beside_a_narrower_or_another_that_was_chosen_is_no_warning():
    assert delivered([layer("a", "int8"), layer("b", "fp32")], ["int8", "fp16"]).warnings == ()
    assert delivered([layer("a", "bf16")], ["fp16", "bf16"]).warnings == ()
    assert len(delivered([layer("a", "int8")], ["fp16"]).warnings) == 1  # the model's own Q/DQ, and the flag did nothing


def test_layers_of_an_engine_come_slowest_first():
    engine = EngineDelivered(file="e", bytes=1, found=delivered(ENGINE), layers=ENGINE, runs=3)
    assert [each.name for each in engine.slowest()] == ["b", "a", "c", "r"]
    assert engine.told
    assert EngineDelivered.model_validate_json(engine.model_dump_json()) == engine


def test_an_engine_that_tells_only_names_tells_which_layers_took_weights_in_8_bits():
    layers = layers_of(json.dumps({"Layers": NAMES}))
    engine = EngineDelivered(file="e", bytes=1, found=delivered(layers, ["int8"]), layers=layers)

    told = told_by_weights(engine, {"conv/weight_1/int8", "fc/weight_1/int8"})

    assert [layer.precision for layer in told.layers] == [None, "int8", None, "int8", None]
    assert told.found.sentence() == "int8 in 2 of 2 layers; 2 others do not tell"
    assert (told.told, told.warnings) == (True, ())
    assert told_by_weights(engine, ()) is engine
