"""The process that holds TensorRT. Started by ``workbench.runtime.native.companion``, by its path.

It needs tensorrt and NumPy and nothing else, so that it also runs under an interpreter that has only those: its neighbours in
this folder are imported without the packages around them. Messages go both ways as ``messages`` has them; what libraries print
goes to standard error. It ends when standard input does, and with the process that started it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.runtime.native.cuda import Cuda
    from workbench.runtime.native.engine import Engine
    from workbench.runtime.native.messages import Message
    from workbench.runtime.native.running import Execution

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Serving:
    """Answers questions about one engine at a time.

    Parameters
    ----------
    trt : module
        tensorrt.
    cuda : Cuda
        The CUDA runtime.
    say : callable
        Sends a message that is no answer: a log line, progress, a stage.
    """

    def __init__(self, trt: Any, cuda: Cuda, say: Any) -> None:  # noqa: ANN401
        from workbench.runtime.native.building import make_logger

        self.trt, self.cuda, self.say = trt, cuda, say
        self.logger = make_logger(trt, say)
        # TensorRT loads what builders need with a process's first, and lets go of it with the last: seconds for each build.
        self.standby = trt.Builder(self.logger)
        self.plan = b""
        self.engine: Engine | None = None
        self.execution: Execution | None = None

    def answer(self, fields: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[Any]]:
        """Return the answer to one question; the verb is a method's name."""
        verbs = {
            "device": self.device,
            "build": self.build,
            "load": self.load,
            "save": self.save,
            "describe": self.describe,
            "run": self.run,
            "time": self.time,
            "profile": self.profile,
            "inspect": self.inspect,
            "forget": self.forget,
        }
        self.logger.last_error = ""
        return verbs[fields["verb"]](fields, blobs)  # type: ignore[no-any-return]

    def device(self, fields: dict[str, Any], _: list[bytes]) -> Any:  # noqa: ANN401
        """Choose the GPU; its compute capability, and what this TensorRT has."""
        number = int(fields["device"])
        count = self.cuda.integer("cudaGetDeviceCount")
        if number >= count:
            from workbench.runtime.native.messages import Refused

            raise Refused(f"GPU {number} was asked for (device_id), and there are {count}.", kind="provider")
        self.cuda.call("cudaSetDevice", number)
        self.logger.verbose = bool(fields.get("verbose"))
        flags = [name for name in ("FP16", "BF16", "INT8") if hasattr(self.trt.BuilderFlag, name)]
        typed = hasattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
        capability = self.cuda.compute_capability(number)
        return {"compute_capability": capability, "flags": flags, "strongly_typed": typed}, []

    def build(self, fields: dict[str, Any], blobs: list[bytes]) -> Any:  # noqa: ANN401
        """Build an engine and load it."""
        from workbench.runtime.native.building import Building

        self._forget()
        began = time.perf_counter()
        building = Building(self.trt, self.logger, fields["request"], self.say)
        building.parse()
        parsed = time.perf_counter()
        building.configure(blobs[0] if blobs else None)
        self.plan = building.build()
        built = time.perf_counter()
        timing = building.timing()
        notes, typed = building.notes, building.strongly_typed
        del building  # the network holds the weights once more
        self._load()
        seconds = {"parse": parsed - began, "build": built - parsed, "load": time.perf_counter() - built}
        told = {"seconds": seconds, "bytes": len(self.plan), "notes": notes, "strongly_typed": typed}
        return told, [timing] if timing is not None else []

    def load(self, fields: dict[str, Any], _: list[bytes]) -> Any:  # noqa: ANN401
        """Load a plan from its file."""
        from workbench.runtime.native.building import load_plugins

        self._forget()
        load_plugins(self.trt, self.logger, fields.get("plugins", ()))
        began = time.perf_counter()
        self.plan = Path(fields["path"]).read_bytes()
        self._load()
        return {"seconds": {"load": time.perf_counter() - began}, "bytes": len(self.plan)}, []

    def save(self, fields: dict[str, Any], _: list[bytes]) -> Any:  # noqa: ANN401
        """Write the plan; no reader ever sees half of it."""
        path = Path(fields["path"])
        staged = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            staged.write_bytes(self.plan)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        return {"bytes": len(self.plan)}, []

    def describe(self, _: dict[str, Any], __: list[bytes]) -> Any:  # noqa: ANN401
        """Tell the engine's tensors and profiles."""
        return self._engine().describe(), []

    def run(self, fields: dict[str, Any], blobs: list[bytes]) -> Any:  # noqa: ANN401
        """Run once."""
        from workbench.runtime.native.messages import pack_arrays

        execution = self._bound(fields, blobs)
        execution.run()
        told, data = pack_arrays(execution.results())
        return {"arrays": told, "profile": execution.profile}, data

    def time(self, fields: dict[str, Any], blobs: list[bytes]) -> Any:  # noqa: ANN401
        """Time single inferences."""
        execution = self._bound(fields, blobs)
        execution.notes = []
        samples = execution.time(fields["plan"], lambda name: self.say({"stage": name}))
        return {"samples": samples, "notes": execution.notes}, []

    def profile(self, fields: dict[str, Any], blobs: list[bytes]) -> Any:  # noqa: ANN401
        """Time layers, in a context of its own, the only one meanwhile: a profiler slows it down for good."""
        from workbench.runtime.native.messages import unpack_arrays
        from workbench.runtime.native.running import Execution

        engine = self._engine()
        self._let_go()
        feeds = dict(unpack_arrays(fields["arrays"], blobs)) if fields.get("arrays") else engine.made_up(0)
        execution = Execution(engine)
        try:
            execution.bind(feeds)
            layers, runs, whole = execution.layer_times(int(fields["runs"]), float(fields["seconds"]))
        finally:
            execution.close()
        return {"layers": layers, "runs": runs, "run_ms": whole}, []

    def inspect(self, _: dict[str, Any], __: list[bytes]) -> Any:  # noqa: ANN401
        """Tell what the engine inspector says."""
        return {}, [self._engine().inspect().encode()]

    def forget(self, _: dict[str, Any], __: list[bytes]) -> Any:  # noqa: ANN401
        """Let go of the engine and its memory."""
        self._forget()
        self.plan = b""
        return {}, []

    def _bound(self, fields: dict[str, Any], blobs: list[bytes]) -> Execution:
        from workbench.runtime.native.messages import unpack_arrays
        from workbench.runtime.native.running import Execution

        if self.execution is None:
            self.execution = Execution(self._engine())
        self.execution.bind(dict(unpack_arrays(fields["arrays"], blobs)))
        return self.execution

    def _engine(self) -> Engine:
        if self.engine is None:
            from workbench.runtime.native.messages import Refused

            raise Refused("No engine was built or loaded.", kind="load")
        return self.engine

    def _load(self) -> None:
        from workbench.runtime.native.engine import Engine

        self.engine = Engine(self.trt, self.cuda, self.logger, self.plan)

    def _let_go(self) -> None:
        if self.execution is not None:
            self.execution.close()
        self.execution = None

    def _forget(self) -> None:
        self._let_go()
        self.engine = None


def _begin(say: Any) -> tuple[Serving | None, dict[str, Any]]:  # noqa: ANN401
    """Load TensorRT and CUDA; what there is, or what is absent and why."""
    from workbench.runtime.native.cuda import load_cuda
    from workbench.runtime.native.messages import Refused

    try:
        trt = importlib.import_module("tensorrt")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return None, {"absent": f"{type(error).__name__}: {error}", "part": "tensorrt"}
    version = str(trt.__version__)
    try:
        cuda = load_cuda()
        serving = Serving(trt, cuda, say)
    except Refused as error:
        return None, {"absent": error.message, "part": "cuda", "tensorrt": version}
    except (RuntimeError, TypeError) as error:  # pybind11 raises TypeError where TensorRT gives no builder
        said = f"TensorRT {version} makes no builder: {type(error).__name__}: {error}"
        return None, {"absent": said, "part": "gpu", "tensorrt": version}
    runtime = cuda.integer("cudaRuntimeGetVersion")
    told = {"tensorrt": version, "python": sys.version.split()[0], "cuda": f"{runtime // 1000}.{runtime % 1000 // 10}"}
    return serving, {**told, "cudart": cuda.path, "gpus": cuda.integer("cudaGetDeviceCount")}


def _answer(serving: Serving, question: Message) -> tuple[dict[str, Any], list[Any]]:
    from workbench.runtime.native.messages import Refused

    try:
        fields, blobs = serving.answer(*question)
    except Refused as error:
        told = {"message": error.message, "kind": error.kind, "remedy": error.remedy, "errors": getattr(error, "errors", [])}
        return {"failed": told}, []
    except MemoryError:
        return {"failed": {"message": "Out of memory on the CPU.", "kind": "memory", "remedy": ""}}, []
    except (RuntimeError, TypeError, ValueError, AttributeError, OSError, KeyError) as error:
        kind = {"build": "build", "load": "load"}.get(str(question[0].get("verb")), "run")
        said = serving.logger.last_error
        text = f"{type(error).__name__}: {error}" + (f" ({said})" if said else "")
        return {"failed": {"message": text, "kind": kind, "remedy": ""}}, []
    return {"done": True, **fields}, blobs


def _read(questions: queue.SimpleQueue[Message]) -> None:
    from workbench.runtime.native.messages import receive

    while (question := receive(sys.stdin.buffer)) is not None:
        questions.put(question)
    # Nobody is left to hear; a build at hand must not go on alone.
    os._exit(0)


def _die_with_parent() -> None:
    """Let Linux end this process when the one that started it dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Say which TensorRT there is, then answer until standard input ends."""
    from workbench.runtime.native.messages import send

    _die_with_parent()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lock = threading.Lock()

    def say(fields: dict[str, Any], blobs: list[Any] | tuple[()] = ()) -> None:
        with lock:
            send(out, fields, blobs)

    serving, hello = _begin(say)
    say({"done": True, **hello})
    if serving is None:
        return
    questions: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(questions,), daemon=True).start()
    while True:
        fields, blobs = _answer(serving, questions.get())
        try:
            say(fields, blobs)
        except (TypeError, ValueError) as error:  # something in it is no JSON: nothing was written yet
            say({"failed": {"message": f"What TensorRT said cannot be passed on: {error}", "kind": "run", "remedy": ""}})


def _house() -> None:
    """Make this folder importable under its own name, without the packages around it, which need more than is here."""
    folder = Path(__file__).resolve().parent
    for depth, name in enumerate(("workbench.runtime.native", "workbench.runtime", "workbench")):
        package = ModuleType(name)
        package.__path__ = [str([folder, *folder.parents][depth])]
        sys.modules[name] = package


if __name__ == "__main__":
    _house()
    main()
