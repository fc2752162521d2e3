"""Settings: all that decides how a session is made."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from workbench.options.canonical import FLAGS, PRECISE, PROFILE_KEYS, Precision, Provider, canonical
from workbench.options.catalogue import keys_of
from workbench.options.effective import Effective
from workbench.options.mapping import Options
from workbench.options.profile import ShapeProfile
from workbench.options.releases import NEWEST, installed_release
from workbench.options.values import write_value
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from workbench.model.model import Model

# ONNX Runtime's names; workbench.placement.records has them too, which this layer cannot import.
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"

NO_CPU_FALLBACK = "session.disable_cpu_ep_fallback"


class Settings(Record):
    """All that decides how a session is made.

    Settings that mean the same are equal and hash the same: ``trt_fp16_enable=True`` among the provider options is kept as
    ``precision="fp16"``, the three profile texts as ``profile``, and ``None`` or an empty text as no option at all. Options of
    a provider that is not in use are kept, and ignored.

    Attributes
    ----------
    provider : str
        ``tensorrt`` (with CUDA and the CPU for what it does not take), ``cuda`` (with the CPU), or ``cpu``: ONNX Runtime's;
        ``native``: TensorRT through its own interface; ``torch``: the PyTorch module that the model was exported from.
    provider_options : Options
        Options of TensorRT and CUDA, by ONNX Runtime's keys, and those of PyTorch (``torch_...``); only what differs from the
        defaults need be there. TensorRT and CUDA share ``device_id`` and ``user_compute_stream``.
    session_options : Options
        Attributes of ``SessionOptions``, with the graph optimisation level and the execution mode in words, and configuration
        entries such as ``session.intra_op.allow_spinning``.
    profile : ShapeProfile
        The inputs' shapes; also read from a list of ``NAME=MIN:OPT:MAX``.
    precision : str
        What TensorRT may use beside FP32, or what a PyTorch module is converted to (not ``int8``). A second flag among the
        provider options, such as ``trt_fp16_enable`` beside ``int8``, allows both.

    Raises
    ------
    SettingsError
        For a key that no supported release knows, a value that none takes, or a contradiction.
    """

    provider: Provider = "tensorrt"
    provider_options: Options = Options()
    session_options: Options = Options()
    profile: ShapeProfile = ShapeProfile()
    precision: Precision = "fp32"

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, given: Any) -> Any:  # noqa: ANN401  # pydantic's interface
        return canonical(given, tuple(cls.model_fields)) if isinstance(given, dict) else given

    def fingerprint(self) -> str:
        """Return a SHA-256 (hexadecimal) that is equal for equal Settings, on every machine."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self, release: str | None = None, model: Model | None = None) -> list[Finding]:
        """Validate against one release of ONNX Runtime, and against a model where one is given.

        Parameters
        ----------
        release : str or None
            Such as ``1.31``; the installed one by default, or the newest known where none is installed.
        model : Model or None
            The model to run.

        Returns
        -------
        list of Finding
            What is useless or dangerous.

        Raises
        ------
        SettingsError
            For what cannot work.
        """
        from workbench.options.findings import check_settings

        return check_settings(self, release or installed_release() or NEWEST, model)

    def to_providers(self) -> list[tuple[str, dict[str, str]]]:
        """Return what ``InferenceSession`` takes as ``providers``: names, and options as the text that Python's parser reads.

        The CPU is left out where ``session.disable_cpu_ep_fallback`` is set: ONNX Runtime refuses both together.

        Raises
        ------
        SettingsError
            When the profile names an input that ONNX Runtime's parser would take for another.
        """
        chain: list[tuple[str, dict[str, str]]] = []
        if self.provider == "tensorrt":
            chain.append((TENSORRT, self._tensorrt_options()))
        if self.provider in ("tensorrt", "cuda"):
            chain.append((CUDA, self._written("cuda", ("1", "0"))))
        if self.provider == "cpu" or not self.session_options.get(NO_CPU_FALLBACK):
            chain.append((CPU, {}))
        return chain

    def session_entries(self) -> dict[str, str]:
        """Return the configuration entries among the session options, as ``add_session_config_entry`` takes them."""
        return {key: write_value(value) for key, value in self.session_options.items() if "." in key}

    def summary(self) -> str:
        """Return a short text for people, such as ``tensorrt fp16, 2 options changed``."""
        now = Effective(self)
        changed = [key for key in now.changed() if key not in FLAGS] + now.changed_session()
        parts = [" ".join((self.provider, "+".join(now.precisions) or "fp32")) if self.provider in PRECISE else self.provider]
        if changed:
            parts.append(f"{len(changed)} option{'s' if len(changed) > 1 else ''} changed")
        if self.profile:
            names = self.profile.names
            parts.append(f"profile for {names[0]!r}" if len(names) == 1 else f"profile for {len(names)} inputs")
        return ", ".join(parts)

    def replace(self, **changes: Any) -> Settings:  # noqa: ANN401  # the fields' own types
        """Return these Settings with some fields changed, validated again.

        New provider options that hold precision flags or profile texts also replace the precision or the profile.
        """
        fields = dict(self)
        options = changes.get("provider_options") or {}
        if "precision" not in changes and any(key in FLAGS for key in options):
            del fields["precision"]
        if "profile" not in changes and any(key in PROFILE_KEYS for key in options):
            del fields["profile"]
        return Settings(**{**fields, **changes})

    def _tensorrt_options(self) -> dict[str, str]:
        from workbench.options.findings import refuse_inexpressible

        refuse_inexpressible(self)
        flags = {f"trt_{precision}_enable": "True" for precision in Effective(self).precisions}
        written = self._written("tensorrt", ("True", "False")) | flags | self.profile.to_options()
        # With no option at all, the provider would take options from the environment (ORT_TENSORRT_*).
        return written or {"device_id": "0"}

    def _written(self, provider: str, flags: tuple[str, str]) -> dict[str, str]:
        known = keys_of(provider)
        return {key: write_value(value, flags=flags) for key, value in self.provider_options.items() if key in known}
