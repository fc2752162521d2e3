"""What a state begins with, and what a model brings along when it is opened."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from workbench.errors import SettingsError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.panels.dimensions import profile_of_sizes, suggested_sizes
from workbench.samples.catalogue import samples

if TYPE_CHECKING:
    from pathlib import Path


def default_settings() -> Settings:
    """Return plain Settings for TensorRT where a package with it is installed, else for the CPU."""
    try:
        version("onnxruntime-gpu")
    except PackageNotFoundError:
        return Settings(provider="cpu")
    return Settings()


def loaded_model(path: str | Path) -> Model:
    """Return a model that is ready to be shown."""
    model = Model.load(path)
    _ = model.nodes  # counted here, on the thread, rather than when the panels first ask
    return model


def fitting_profile(model: Model, profile: ShapeProfile) -> ShapeProfile:
    """Return the profile if it fits the model, else a sample's own, else none."""
    if profile:
        try:
            profile.check(model)
        except SettingsError:
            pass
        else:
            return profile
    if any(sample.path == model.path for sample in samples()):
        return profile_of_sizes(model, suggested_sizes(model))
    return ShapeProfile()


def sample_inputs(model: Model) -> str | None:
    """Return the arrays that come with a sample; ``None`` for other models."""
    return next((str(sample.inputs) for sample in samples() if sample.path == model.path and sample.inputs), None)
