"""The options of the provider ``torch``: how the PyTorch module that a model was exported from is run.

They are the workbench's own; each is one call of PyTorch's interface.
"""

from __future__ import annotations

from workbench.options.option import OptionSpec

RUNNING, NUMBERS = "Running", "Numbers"

OPTIONS: tuple[OptionSpec, ...] = (
    OptionSpec(
        key="torch_device",
        provider="torch",
        type="enum",
        default=None,
        choices=("cuda", "cpu"),
        effect="runtime",
        group=RUNNING,
        help="Where the module runs; CUDA where PyTorch finds a GPU, else the CPU, when not given.",
    ),
    OptionSpec(
        key="torch_compile",
        provider="torch",
        type="enum",
        default="off",
        choices=("off", "default", "reduce-overhead", "max-autotune"),
        effect="runtime",
        group=RUNNING,
        help="Mode of torch.compile; reduce-overhead records CUDA graphs. Compiling is part of the first run.",
    ),
    OptionSpec(
        key="torch_channels_last",
        provider="torch",
        type="bool",
        default=False,
        effect="runtime",
        group=RUNNING,
        help="Keep images and convolution weights with the channels last, as Tensor Cores want them.",
    ),
    OptionSpec(
        key="torch_tf32",
        provider="torch",
        type="bool",
        default=None,
        effect="runtime",
        group=NUMBERS,
        help="Compute float32 in TF32 on Tensor Cores; PyTorch does so in convolutions only when not given.",
    ),
)
