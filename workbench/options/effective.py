"""What Settings amount to: values in force, defaults included, and the options that do nothing beside the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.options.canonical import FLAGS, PRECISIONS, PROFILE_KEYS
from workbench.options.catalogue import PROVIDERS, option, used_by
from workbench.options.native import ACTION, NO_SESSION, unused

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.options.mapping import OptionValue
    from workbench.options.option import OptionSpec
    from workbench.options.settings import Settings


OWNERS = {"tensorrt": "TensorRT", "cuda": "CUDA", "torch": "PyTorch"}


@dataclass(frozen=True, slots=True)
class Effective:
    """The values in force under one release of ONNX Runtime (``None``: the newest known)."""

    settings: Settings
    release: str | None = None

    def spec(self, key: str) -> OptionSpec | None:
        """Return the option as the provider in use has it, else as any provider has it."""
        order = tuple(dict.fromkeys((*used_by(self.settings.provider), *PROVIDERS)))
        specs = [option(provider, key, release) for release in (self.release, None) for provider in order]
        usable = [spec for spec in specs if spec is not None and spec.python]
        return usable[0] if usable else None

    def value(self, key: str) -> OptionValue | None:
        """Return the value of a provider option, its default where it is not given."""
        if key in FLAGS:
            return FLAGS[key] in self.precisions
        if key in PROFILE_KEYS:
            return self.settings.profile.to_options().get(key, "")
        spec = self.spec(key)
        return self.settings.provider_options.get(key, spec.default if spec else None)

    def session(self, key: str) -> OptionValue | None:
        """Return the value of a session option, its default where it is not given."""
        spec = option("session", key, self.release) or option("session", key)
        return self.settings.session_options.get(key, spec.default if spec else None)

    def on(self, key: str) -> bool:
        """Whether a provider option is set to something."""
        return self.value(key) not in (None, False, "")

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions beside FP32 that TensorRT may use, the narrowest first."""
        settings = self.settings
        return tuple(p for p in PRECISIONS if p == settings.precision or settings.provider_options.get(f"trt_{p}_enable"))

    def changed(self) -> list[str]:
        """Return the provider options that are given another value than their default."""
        return [
            key for key, value in self.settings.provider_options.items() if (spec := self.spec(key)) and value != spec.default
        ]

    def changed_session(self) -> list[str]:
        """Return the session options that are given another value than their default."""
        found = []
        for key, value in self.settings.session_options.items():
            spec = option("session", key, self.release) or option("session", key)
            if spec is None or value != spec.default:
                found.append(key)
        return found


@dataclass(frozen=True, slots=True)
class Idle:
    """Why an option does nothing, and what would change that."""

    because: str
    action: str = "Leave it out."


def _engine_files(now: Effective) -> bool:
    if now.settings.provider == "native":  # its engine does not depend on a cache
        return True
    # An EP context model that names its engine file switches the engine cache on.
    names_engine = now.on("trt_dump_ep_context_model") and now.value("trt_ep_context_embed_mode") == 0
    return now.on("trt_engine_cache_enable") or names_engine


def _cache_folder(now: Effective) -> bool:
    if now.settings.provider == "native":
        return now.on("trt_int8_calibration_table_name") or now.on("trt_timing_cache_enable")
    return _engine_files(now) or now.on("trt_int8_enable") or now.on("trt_timing_cache_enable")


def _needs(*keys: str) -> Callable[[Effective], bool]:
    return lambda now: any(now.on(key) for key in keys)


_INT8 = Idle("INT8 is off.", "Set precision='int8', or leave it out.")
_TIMING = Idle("The timing cache is off.", "Set trt_timing_cache_enable=True, or leave it out.")
_FILES = Idle("The engine cache is off.", "Set trt_engine_cache_enable=True, or leave it out.")
_DUMP = Idle("No EP context model is written.", "Set trt_dump_ep_context_model=True, or leave it out.")

# option -> when it does something, and what to say when it does not
_CONDITIONS: dict[str, tuple[Callable[[Effective], bool], Idle]] = {
    "trt_int8_calibration_table_name": (_needs("trt_int8_enable"), _INT8),
    "trt_int8_use_native_calibration_table": (
        lambda now: now.on("trt_int8_enable") and now.on("trt_int8_calibration_table_name"),
        Idle(
            "It tells the form of a calibration table, and none is in use.",
            "Give a table with precision='int8', or leave it out.",
        ),
    ),
    "trt_dla_enable": (
        _needs("trt_fp16_enable", "trt_int8_enable"),
        Idle("A DLA runs FP16 and INT8 only.", "Set precision='fp16' or 'int8', or leave it out."),
    ),
    "trt_dla_core": (_needs("trt_dla_enable"), Idle("The DLA is off.", "Set trt_dla_enable=True, or leave it out.")),
    "trt_layer_norm_fp32_fallback": (
        _needs("trt_fp16_enable", "trt_bf16_enable"),
        Idle("It keeps layers in FP32 under fp16 or bf16, and both are off.", "Set precision='fp16', or leave it out."),
    ),
    "trt_engine_cache_path": (
        _cache_folder,
        Idle("The engine cache, the timing cache and INT8 are off.", "Set trt_engine_cache_enable=True, or leave it out."),
    ),
    "trt_engine_cache_prefix": (_engine_files, _FILES),
    "trt_engine_hw_compatible": (_engine_files, _FILES),
    "trt_engine_decryption_enable": (_engine_files, _FILES),
    "trt_engine_decryption_lib_path": (
        _needs("trt_engine_decryption_enable"),
        Idle("Decryption is off.", "Set trt_engine_decryption_enable=True, or leave it out."),
    ),
    "trt_timing_cache_path": (_needs("trt_timing_cache_enable"), _TIMING),
    "trt_force_timing_cache": (_needs("trt_timing_cache_enable"), _TIMING),
    "trt_ep_context_file_path": (_needs("trt_dump_ep_context_model"), _DUMP),
    "trt_ep_context_embed_mode": (_needs("trt_dump_ep_context_model"), _DUMP),
    "gpu_external_free": (_needs("gpu_external_alloc"), Idle("No external allocator is given.")),
    "gpu_external_empty_cache": (_needs("gpu_external_alloc"), Idle("No external allocator is given.")),
    "tunable_op_tuning_enable": (
        _needs("tunable_op_enable"),
        Idle("Tunable operators are off.", "Set tunable_op_enable=True, or leave it out."),
    ),
    "tunable_op_max_tuning_duration_ms": (
        _needs("tunable_op_tuning_enable"),
        Idle("Tuning is off.", "Set tunable_op_tuning_enable=True, or leave it out."),
    ),
}


def idle(now: Effective, key: str) -> Idle | None:
    """Return why a provider option does nothing beside the others, or ``None`` where it does something."""
    provider = now.settings.provider
    used = used_by(provider)
    specs = [spec for name in PROVIDERS if (spec := option(name, key)) and spec.python]
    if not any(spec.provider in used for spec in specs):
        owner = OWNERS[specs[0].provider] if specs else "CUDA"
        return Idle(f"It is an option of the {owner} provider, and the provider is {provider!r}.")
    active = next(spec for spec in specs if spec.provider in used)
    if active.effect == "ignored":
        return Idle(active.help)
    if provider == "native" and (reason := unused(key)) is not None:
        return Idle(reason, ACTION)
    condition = _CONDITIONS.get(key)
    return condition[1] if condition and not condition[0](now) else None


def idle_session(now: Effective, key: str) -> Idle | None:
    """Return why a session option does nothing, or ``None`` where it does something."""
    spec = option("session", key)
    if spec is not None and not spec.python:
        return Idle(spec.instead)
    if now.settings.provider == "native":
        return Idle(NO_SESSION, ACTION)
    if key == "inter_op_num_threads" and now.session("execution_mode") != "parallel":
        return Idle("Operators run one after the other.", "Set execution_mode='parallel', or leave it out.")
    return None
