"""Entries of the cache, machines and a cache that needs no disk."""

from datetime import UTC, datetime, timedelta

from tests.runtime.engines.ort_files import write_engine
from workbench.errors import EngineError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.engines.cache import EngineCache, EntryFacts
from workbench.runtime.engines.key import key_on
from workbench.runtime.engines.records import EngineEntry, EngineFile
from workbench.runtime.job import Environment
from workbench.samples.catalogue import sample_path

PROFILE = "image=1x1x8x8:8x1x8x8:32x1x8x8"
NAME = "TensorrtExecutionProvider_TRTKernel_graph_digits_123_0_0_sm90"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def machine(**changes):
    values = {
        "host": "h",
        "platform": "p",
        "python": "3.12",
        "cpu": "c",
        "cores": 16,
        "memory_bytes": 1,
        "onnxruntime": "1.17.1",
        "tensorrt": "8.6.1",
        "native_tensorrt": "8.6.1",
        "gpu": "NVIDIA H200",
        "compute_capability": "9.0",
    }
    return Environment(**(values | changes))


LAPTOP = machine(gpu=None, compute_capability=None, tensorrt=None, native_tensorrt=None, onnxruntime="1.31.1")


def entry_of(model, settings=None, here=None, *, days=0, idle=0, size=1000, **changes):
    """Return the entry that a session of a model left on a machine."""
    settings, here = settings or Settings(), here or machine()
    native = settings.provider == "native"
    values = {
        "key": key_on(model, settings, here),
        "model": model.path.name,
        "content_hash": model.content_hash(),
        "settings": settings,
        "provider": settings.provider,
        "onnxruntime": None if native else here.onnxruntime,
        "tensorrt": here.tensorrt_of(settings.provider),
        "gpu": here.gpu,
        "compute_capability": here.compute_capability,
        "created": NOW - timedelta(days=days),
        "last_used": NOW - timedelta(days=idle),
        "build_seconds": 72.0,
        "files": (EngineFile(name="a_sm90.engine", bytes=size, sha256="0" * 64, tensorrt="8.6.1.6", architecture="sm90"),),
    }
    return EngineEntry(**(values | changes))


def build(folder, settings=None, here=None, model=None):
    """Publish an engine as a session would; return its key."""
    loaded, settings, here = (
        Model.load(model or sample_path("digits")),
        settings or Settings(profile=[PROFILE]),
        here or machine(),
    )
    facts = EntryFacts(
        key=key_on(loaded, settings, here),
        model=loaded.path.name,
        content_hash=loaded.content_hash(),
        settings=settings,
        onnxruntime=here.onnxruntime,
        tensorrt=here.tensorrt,
        gpu=here.gpu,
        compute_capability=here.compute_capability,
    )
    with EngineCache(folder).opened(facts) as opened:
        write_engine(opened.folder, f"{NAME}.engine", ranges={"image": [0, 1, 32, 8]})
        opened.publish(72.0)
    return facts.key


class FakeCache:
    """Entries in a list; those in `locked` cannot be removed."""

    def __init__(self, folder, entries=(), locked=()):
        self.folder, self.kept, self.locked = folder, list(entries), set(locked)

    def entries(self):
        return list(self.kept)

    def find(self, key):
        return next((entry for entry in self.kept if entry.key == key), None)

    def remove(self, keys):
        if self.locked & set(keys):
            raise EngineError("digits.onnx: cannot be removed: it is being built.")
        self.kept = [entry for entry in self.kept if entry.key not in set(keys)]

    def folder_of(self, _key):
        return None
