import pickle

import pytest
from pydantic import ValidationError

from workbench.errors import SettingsError
from workbench.options.catalogue import catalogue
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.options.values import read_value

TRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
PROFILE = ["x=1x3:8x3:32x3"]


def sample(spec):
    """Return a valid value that is not the default."""
    if spec.choices:
        return next(choice for choice in spec.choices if choice != spec.default)
    if spec.type == "bool":
        return not spec.default
    if spec.type == "int":
        return next(n for n in (2, 1) if n != spec.default and (spec.maximum is None or n <= spec.maximum))
    return {"trt_tactic_sources": "+CUDNN"}.get(spec.key, "some.thing")


OPTIONS = [spec for name in ("tensorrt", "cuda") for spec in catalogue(name) if spec.python]
PLAIN = [
    spec
    for spec in OPTIONS
    if spec.type != "shapes" and spec.key not in ("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable")
]


def ids(spec):
    return f"{spec.provider}-{spec.key}"


# What is kept, and what equals what


def test_settings_equal_in_any_order_hash_and_fingerprint_the_same():
    one = Settings(provider_options={"trt_sparsity_enable": True, "device_id": "1"}, profile=PROFILE)
    other = Settings(
        profile=ShapeProfile.from_arguments(PROFILE), provider_options={"device_id": 1, "trt_sparsity_enable": "true"}
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one.fingerprint() == other.fingerprint()
    assert len(one.fingerprint()) == 64
    assert one.fingerprint() != Settings().fingerprint()


def test_fingerprints_stay_the_same_for_ever():
    # Runs that were kept are found again by it: a change here loses them.
    assert Settings().fingerprint() == "f3013cb09bd127922b5a90481c62b926afd38396363ba3a8f5f9cc016f506f2a"


def test_values_get_their_type():
    settings = Settings(provider_options={"trt_max_workspace_size": "4GiB", "trt_sparsity_enable": "1", "use_tf32": "0"})
    assert settings.provider_options == {"trt_max_workspace_size": 4 << 30, "trt_sparsity_enable": True, "use_tf32": False}


def test_none_and_empty_text_mean_no_option():
    assert Settings(provider_options={"trt_engine_cache_path": "", "device_id": None}) == Settings()
    assert Settings(session_options={"intra_op_num_threads": None, "session.unknown": None}) == Settings()


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().provider = "cpu"


def test_json_and_pickle_keep_settings():
    settings = Settings(
        provider_options={"trt_op_types_to_exclude": "NonZero", "trt_fp16_enable": True, "trt_int8_enable": True},
        session_options={"graph_optimization_level": "layout", "session.intra_op.allow_spinning": False},
        profile=[*PROFILE, "y:0=1:2:3"],
    )
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert Settings.model_validate(settings.model_dump()) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("provider", ["tensorrt", "cuda", "cpu"])
def test_settings_recorded_with_any_release_can_be_read(provider, precision):
    # Validated on reading by no particular release: options of old and new ones, and values that only one has.
    for level in ("layout", "all"):
        settings = Settings(
            provider=provider,
            precision=precision,
            provider_options={
                "trt_preview_features": "ALIASED_PLUGIN_IO_10_03",
                "enable_cudnn": False,
                "trt_max_workspace_size": 0,
            },
            session_options={"graph_optimization_level": level, "session.new_in_later_release": "1"},
        )
        assert Settings.model_validate_json(settings.model_dump_json()) == settings


# Precision and profile


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_precision_sets_the_flag_and_a_flag_the_precision(precision):
    settings = Settings(precision=precision)
    assert settings.to_providers()[0][1] == {f"trt_{precision}_enable": "True"}
    assert Settings(provider_options={f"trt_{precision}_enable": "True"}) == settings
    assert Settings(precision=precision, provider_options={f"trt_{precision}_enable": True}) == settings


def test_two_precisions_together():
    both = Settings(precision="int8", provider_options={"trt_fp16_enable": True})
    assert both == Settings(provider_options={"trt_int8_enable": True, "trt_fp16_enable": True})
    assert both.precision == "int8"
    assert both.to_providers()[0][1] == {"trt_int8_enable": "True", "trt_fp16_enable": "True"}
    assert both.summary() == "tensorrt int8+fp16"


@pytest.mark.parametrize(
    ("precision", "flag", "value", "remedy"),
    [
        ("fp32", "trt_fp16_enable", True, "precision='fp16'"),
        ("fp16", "trt_fp16_enable", False, "Leave trt_fp16_enable out"),
        ("fp16", "trt_int8_enable", True, "precision='int8', with trt_fp16_enable=True for both"),
    ],
)
def test_precision_and_flags_must_not_contradict(precision, flag, value, remedy):
    with pytest.raises(SettingsError, match=remedy):
        Settings(precision=precision, provider_options={flag: value})


def test_profile_texts_among_the_options_become_the_profile():
    profile = ShapeProfile.from_arguments(PROFILE)
    settings = Settings(provider_options=profile.to_options() | {"device_id": 1})
    assert settings == Settings(profile=profile, provider_options={"device_id": 1})
    assert Settings(provider_options=profile.to_options(), profile=profile) == Settings(profile=profile)
    with pytest.raises(SettingsError, match="Give it in one place"):
        Settings(provider_options=profile.to_options(), profile=["x=1:1:1"])
    with pytest.raises(SettingsError, match="trt_profile_opt_shapes and trt_profile_max_shapes missing"):
        Settings(provider_options={"trt_profile_min_shapes": "x:1"})


def test_a_profile_can_be_given_as_text():
    assert (
        Settings(profile=PROFILE[0])
        == Settings(profile=PROFILE)
        == Settings(profile={"ranges": Settings(profile=PROFILE).profile.ranges})
    )
    assert Settings(profile=None) == Settings()
    with pytest.raises(SettingsError, match="is no shape profile"):
        Settings(profile=3)


# Refusals; SettingsError is no ValueError, so it comes through pydantic as it is


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"provider_options": {"trt_fp16_enble": True}}, "Did you mean 'trt_fp16_enable'"),
        ({"provider_options": {"engine_cache_path": "x"}}, "Did you mean 'trt_engine_cache_path'"),
        ({"provider_options": {"cudnn_conv_algo": "x"}}, "cudnn_conv_algo_search"),
        ({"provider_options": {"qwertz": 1}}, "catalogue"),
        ({"provider_options": {"intra_op_num_threads": 1}}, "give it in session_options"),
        ({"provider_options": {"session.intra_op.allow_spinning": 1}}, "give it in session_options"),
        (
            {"provider_options": {"trt_sparsity_enable": "yes"}},
            "trt_sparsity_enable: 'yes' is not allowed. Allowed: true or false",
        ),
        ({"provider_options": ["a"]}, "expected a mapping"),
        ({"session_options": {"device_id": 1}}, "give it in provider_options"),
        ({"session_options": {"intra_op_threads": 1}}, "Did you mean 'intra_op_num_threads'"),
        ({"session_options": {"graph_optimization_level": "most"}}, "disable, basic, extended, layout, all"),
        ({"session_options": {"session.unknown": 1.5}}, "session.unknown"),
        ({"provider": "trt"}, "tensorrt, cuda, cpu"),
        ({"provider": None}, "tensorrt, cuda, cpu"),
        ({"precision": "half"}, "fp32, fp16, bf16, int8"),
        ({"profil": []}, "Did you mean 'profile'"),
        ({"trt_fp16_enable": True}, "provider_options={'trt_fp16_enable': ...}"),
        ({"execution_mode": "parallel"}, "session_options={'execution_mode': ...}"),
    ],
)
def test_what_no_release_takes_is_refused_with_the_way_out(fields, part):
    with pytest.raises(SettingsError) as error:
        Settings(**fields)
    assert part in str(error.value)
    assert not isinstance(error.value, ValueError)


@pytest.mark.parametrize("key", [spec.key for spec in catalogue("tensorrt") if not spec.python])
def test_what_python_cannot_set_is_refused_with_what_to_use(key):
    with pytest.raises(SettingsError, match="cannot be set from Python") as error:
        Settings(provider_options={key: 1})
    assert error.value.remedy


# What InferenceSession takes


def test_the_chain_of_each_provider():
    assert [name for name, _ in Settings().to_providers()] == [TRT, CUDA, CPU]
    assert Settings(provider="cuda").to_providers() == [(CUDA, {}), (CPU, {})]
    assert Settings(provider="cpu").to_providers() == [(CPU, {})]


def test_tensorrt_always_gets_an_option_so_that_the_environment_is_not_read():
    assert Settings().to_providers()[0] == (TRT, {"device_id": "0"})


def test_options_go_to_their_provider_in_its_words():
    settings = Settings(
        provider_options={"trt_sparsity_enable": True, "use_tf32": False, "device_id": 1, "user_compute_stream": 140}
    )
    assert settings.to_providers() == [
        (TRT, {"trt_sparsity_enable": "True", "device_id": "1", "user_compute_stream": "140"}),
        (CUDA, {"use_tf32": "0", "device_id": "1", "user_compute_stream": "140"}),
        (CPU, {}),
    ]


def test_options_of_a_provider_that_is_not_in_use_are_kept_but_not_passed_on():
    settings = Settings(precision="fp16", provider_options={"trt_sparsity_enable": True, "use_tf32": False}, profile=PROFILE)
    assert settings.replace(provider="cuda").to_providers() == [(CUDA, {"use_tf32": "0"}), (CPU, {})]
    assert settings.replace(provider="cpu").to_providers() == [(CPU, {})]
    assert settings.replace(provider="cpu").replace(provider="tensorrt") == settings


def test_the_profile_is_passed_on():
    _, options = Settings(profile=PROFILE).to_providers()[0]
    assert options == {"trt_profile_min_shapes": "x:1x3", "trt_profile_opt_shapes": "x:8x3", "trt_profile_max_shapes": "x:32x3"}


def test_a_profile_that_onnxruntime_would_misread_is_not_passed_on():
    settings = Settings(profile=["x:0=1:2:3"])
    with pytest.raises(SettingsError, match="'x:0'"):
        settings.to_providers()
    assert settings.replace(provider="cuda").to_providers()[0] == (CUDA, {})


def test_the_cpu_is_left_out_where_fallback_to_it_is_forbidden():
    settings = Settings(session_options={"session.disable_cpu_ep_fallback": True})
    assert [name for name, _ in settings.to_providers()] == [TRT, CUDA]
    assert settings.session_entries() == {"session.disable_cpu_ep_fallback": "1"}


@pytest.mark.parametrize("spec", PLAIN, ids=ids)
def test_every_option_is_written_as_text_that_reads_back(spec):
    value = sample(spec)
    settings = Settings(provider=spec.provider, provider_options={spec.key: value})
    name, options = settings.to_providers()[0]
    assert name == (CUDA if spec.provider == "cuda" else TRT)
    assert all(isinstance(text, str) and text for text in options.values())
    assert read_value(spec, options[spec.key]) == value
    assert settings.replace(provider_options=dict(options)) == settings


@pytest.mark.parametrize("spec", [spec for spec in PLAIN if spec.type == "bool" and spec.provider == "tensorrt"], ids=ids)
def test_tensorrt_flags_are_the_words_that_its_parser_knows(spec):
    assert Settings(provider_options={spec.key: "1"}).to_providers()[0][1][spec.key] == "True"
    assert Settings(provider_options={spec.key: "0"}).to_providers()[0][1][spec.key] == "False"


# Text and change


def test_summaries():
    assert Settings().summary() == "tensorrt fp32"
    assert Settings(provider="cpu").summary() == "cpu"
    settings = Settings(precision="fp16", provider_options={"trt_builder_optimization_level": 5, "trt_min_subgraph_size": 1})
    assert settings.summary() == "tensorrt fp16, 1 option changed"
    more = settings.replace(session_options={"intra_op_num_threads": 4}, profile=PROFILE)
    assert more.summary() == "tensorrt fp16, 2 options changed, profile for 'x'"


def test_replace_validates_and_lets_new_flags_decide():
    settings = Settings(precision="fp16")
    assert settings.replace(provider_options={"device_id": 1}).precision == "fp16"
    assert settings.replace(provider_options={"trt_int8_enable": True}).precision == "int8"
    assert Settings().replace(provider_options={"trt_fp16_enable": True}).precision == "fp16"
    assert Settings(profile=["x=1:1:1"]).replace(provider_options=Settings(profile=PROFILE).profile.to_options()).profile.of("x")[
        0
    ].max == (32, 3)
    with pytest.raises(SettingsError):
        settings.replace(provider="gpu")
