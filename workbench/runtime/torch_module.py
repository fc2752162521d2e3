"""A PyTorch module made ready to run: the "before" of a comparison. Imported by the worker process only."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, JobError, SettingsError, Unavailable
from workbench.model.pytorch.call import load_torch, results_of
from workbench.model.pytorch.export import FOREIGN
from workbench.model.pytorch.kept import kept_module_path, read_module
from workbench.record import Finding
from workbench.runtime.prepared import Feeds, Prepared, time_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.model.pytorch.call import Call
    from workbench.options.settings import Settings
    from workbench.runtime.job import Job, Plan
    from workbench.runtime.worker_process import Reporter

HALVES = {"fp16": "float16", "bf16": "bfloat16"}
NO_PLACEMENT = Finding(
    level="info",
    where="placement",
    seen="PyTorch runs the module itself",
    meaning="The nodes of the ONNX model are not run, so that there is no placement.",
)


@dataclass(frozen=True)
class TorchModule(Prepared):
    """A module on its device.

    Attributes
    ----------
    function : callable
        The module, compiled where that was asked for.
    device : str
        ``cuda`` or ``cpu``.
    half : str or None
        The type that floating-point inputs are converted to; ``None`` to leave them as they are.
    dtypes : tuple of str
        Of the model's outputs: results are converted to these.
    """

    torch: Any
    function: Any
    call: Call
    device: str
    half: str | None
    channels_last: bool
    dtypes: tuple[str, ...]
    placement = None
    errors = FOREIGN

    def run(self, feeds: Feeds) -> list[Any]:
        """Run once: inputs go to the device, results come back, as arrays of the model's types."""
        results = self.called(self.put(feeds))
        return [self.array(tensor, dtype) for tensor, dtype in zip(results, self.dtypes, strict=True)]

    def time(self, feeds: Feeds, plan: Plan, stage: Callable[[str], None]) -> list[float]:
        """Return latencies in milliseconds; with ``device`` buffers inputs and results stay on the device.

        Each inference ends with CUDA's synchronisation. Converting to half precision is part of it, as it is for engines.
        """
        if plan.buffers != "device":
            return time_calls(lambda: self.run(feeds), plan, stage)
        tensors = self.put(feeds)

        def call() -> None:
            self.called(tensors)
            self.synchronise()

        return time_calls(call, plan, stage)

    def put(self, feeds: Feeds) -> dict[str, Any]:
        """Return the inputs as tensors on the device."""
        return {name: self.tensor(name, array).to(self.device) for name, array in feeds.items()}

    def tensor(self, name: str, array: np.ndarray) -> Any:  # noqa: ANN401
        """Return an input as a tensor in host memory."""
        if array.dtype.name == "bfloat16":  # ml_dtypes' own: NumPy has none
            return self.torch.from_numpy(array.view(np.int16).copy()).view(self.torch.bfloat16)
        try:
            return self.torch.from_numpy(array if array.flags.writeable else array.copy())
        except TypeError as error:
            raise InputError(f"PyTorch has no tensors of type {array.dtype}, as input {name!r} is.") from error

    def called(self, tensors: dict[str, Any]) -> list[Any]:
        """Run the module; return its results in the model's order, still on the device."""
        args, kwargs = self.call.arguments({name: self.converted(tensor) for name, tensor in tensors.items()})
        with self.torch.inference_mode():
            results = [tensor for _, tensor in results_of(self.function(*args, **kwargs))]
        if len(results) != len(self.dtypes):
            raise JobError(f"The module gave {len(results)} results; the model has {len(self.dtypes)} outputs.", kind="run")
        return results

    def converted(self, tensor: Any) -> Any:  # noqa: ANN401
        """Return an input in the type and the layout that the module runs in."""
        if self.half is not None and tensor.is_floating_point():
            tensor = tensor.to(getattr(self.torch, self.half))
        if self.channels_last and tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=self.torch.channels_last)
        return tensor

    def array(self, tensor: Any, dtype: str) -> np.ndarray:  # noqa: ANN401
        """Return a result as an array of one of the model's types; this waits for the device."""
        wanted = getattr(self.torch, dtype, None)
        found = tensor.to(wanted) if wanted is not None and tensor.dtype != wanted else tensor
        if found.dtype == self.torch.bfloat16:
            import ml_dtypes  # comes with onnx from 1.17 on

            return np.asarray(found.cpu().view(self.torch.int16).numpy()).view(ml_dtypes.bfloat16)
        # A copy, as torch.compile may write the next result into the same memory
        array: np.ndarray = found.cpu().numpy()
        return array.copy() if self.device == "cpu" else array

    def synchronise(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()


def prepare_torch(job: Job, model: Model, reporter: Reporter) -> Prepared:
    """Load the module that was kept beside a model, and make it ready.

    Parameters
    ----------
    job : Job
        Its Settings say where, how precisely, and whether compiled.
    model : Model
        The model; ``NAME.torch.pt`` lies beside it. That file is a pickle: loading it runs code.
    reporter : Reporter
        Told where the module runs, and what the caller should know.

    Raises
    ------
    Unavailable
        Without PyTorch, or without CUDA where it was asked for.
    ModelError
        When there is no module beside the model, or it does not belong to it.
    SettingsError
        For int8.
    """
    settings = job.settings
    if settings.precision == "int8":
        raise SettingsError("PyTorch does not run the module in int8.", remedy="Choose fp32, fp16 or bf16.")
    torch = load_torch("The provider 'torch'")
    path = kept_module_path(model)
    device = _device(torch, settings)
    _allow_tf32(torch, settings)
    kept = read_module(torch, path, model)
    half = HALVES.get(settings.precision)
    channels_last = bool(settings.provider_options.get("torch_channels_last"))
    with _told(f"{path.name} cannot be put on {device}"):
        module = kept.module.to(device)
        module = module.to(getattr(torch, half)) if half else module
        module = module.to(memory_format=torch.channels_last) if channels_last else module
    reporter.part("findings", (_where(torch, device), NO_PLACEMENT, *_other_version(torch, kept.torch)))
    return TorchModule(
        torch=torch,
        function=_compiled(torch, module, settings),
        call=kept.call,
        device=device,
        half=half,
        channels_last=channels_last,
        dtypes=tuple(spec.dtype for spec in model.outputs),
    )


@contextlib.contextmanager
def _told(what: str) -> Any:  # noqa: ANN401
    try:
        yield
    except FOREIGN as error:
        kind = "memory" if "out of memory" in str(error) else "load"
        raise JobError(f"{what}: {error}", kind=kind) from error


def _device(torch: Any, settings: Settings) -> str:  # noqa: ANN401
    available = bool(torch.cuda.is_available())
    asked = settings.provider_options.get("torch_device")
    if asked == "cuda" and not available:
        built = f"PyTorch {torch.__version__} was built without CUDA" if torch.version.cuda is None else "PyTorch finds no GPU"
        raise Unavailable(f"torch_device is cuda, but {built}.", remedy="Leave torch_device out, or install PyTorch with CUDA.")
    return str(asked or ("cuda" if available else "cpu"))


def _allow_tf32(torch: Any, settings: Settings) -> None:  # noqa: ANN401
    """Set TF32 for matrix products and convolutions; PyTorch's own defaults (off and on) where nothing is asked.

    They are set each time: the process may have run another job before.
    """
    asked = settings.provider_options.get("torch_tf32")
    torch.set_float32_matmul_precision("high" if asked else "highest")
    torch.backends.cudnn.allow_tf32 = asked is not False


def _compiled(torch: Any, module: Any, settings: Settings) -> Any:  # noqa: ANN401
    mode = settings.provider_options.get("torch_compile", "off")
    if mode == "off":
        return module
    torch.compiler.reset()  # of what another job has compiled
    function = torch.compile(module, mode=str(mode))

    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        torch.compiler.cudagraph_mark_step_begin()  # results of the run before are no longer needed
        return function(*args, **kwargs)

    return call


def _where(torch: Any, device: str) -> Finding:  # noqa: ANN401
    name = f" ({torch.cuda.get_device_name()})" if device == "cuda" else ""
    return Finding(level="info", where="torch_device", seen=f"PyTorch {torch.__version__} runs the module on {device}{name}")


def _other_version(torch: Any, kept: str) -> list[Finding]:  # noqa: ANN401
    if str(torch.__version__) == kept:
        return []
    seen = f"the module was kept by PyTorch {kept}, and is run by {torch.__version__}"
    return [Finding(level="warning", where="PyTorch", seen=seen)]
