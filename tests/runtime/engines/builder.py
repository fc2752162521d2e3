"""A builder that writes as ONNX Runtime does: in place, slowly, engine and .profile one after the other, and again later."""

import hashlib
import time

from workbench.options.settings import Settings
from workbench.runtime.engines.cache import EngineCache, EntryFacts

NAME = "TensorrtExecutionProvider_TRTKernel_graph_main_1234567_{}_{}_sm90.engine"
CHUNKS = 20


def facts(key="a" * 64, **more):
    fields = {
        "model": "m.onnx",
        "content_hash": "c" * 64,
        "settings": Settings(),
        "onnxruntime": "1.17.1",
        "tensorrt": "8.6.1",
        "gpu": "NVIDIA H200",
        "compute_capability": "9.0",
    }
    return EntryFacts(key=key, **(fields | more))


def data(seed, part):
    return hashlib.sha256(f"{seed} {part}".encode()).digest() * 4000


def write_slowly(path, content, seconds):
    size = len(content) // CHUNKS
    with path.open("wb") as file:
        for i in range(0, len(content), size):
            file.write(content[i : i + size])
            file.flush()
            time.sleep(seconds / CHUNKS)


def build(opened, seed, seconds):
    """Build two engines; the second one twice, because its ranges grow."""
    for part, again in ((0, ""), (1, ""), (1, "grown")):
        engine = opened.folder / NAME.format(part, part)
        write_slowly(engine, data(seed, f"{part}{again}"), seconds / 3)
        engine.with_suffix(".profile").write_bytes(f"{part}{again} {seed}".encode())
        write_slowly(opened.timing_file, data("timing", part) * (part + 1), 0)
        opened.publish(seconds, more=part == 0)


def shas(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def work(root, seed, seconds, told):
    """Build in a process; `told` is a connection that gets pairs of what happens and more about it."""
    with EngineCache(root).opened(facts(), lambda holder: told.send(("waiting", holder))) as opened:
        told.send(("found" if opened.had_engines else "building", None))
        if not opened.had_engines:
            build(opened, seed, seconds)
        found = {
            "uses": [use.origin for use in opened.uses()],
            "files": shas(opened.folder),
            "waited_s": opened.waited_s,
            "findings": [str(finding) for finding in opened.findings],
        }
    told.send(("done", found))
