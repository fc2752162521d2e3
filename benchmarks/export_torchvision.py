"""Export a detector of torchvision's, with random weights, to try the workbench on a model as people really have it.

    python benchmarks/export_torchvision.py fasterrcnn_resnet50_fpn out.onnx --size 800

Needs torch and torchvision; no weights are downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a name in torchvision.models.detection, such as fasterrcnn_resnet50_fpn")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=800, help="height and width of the image")
    parser.add_argument("--opset", type=int, default=17)
    arguments = parser.parse_args()
    import torch
    from torchvision.models import detection

    torch.manual_seed(0)
    build = getattr(detection, arguments.model)
    model = build(weights=None, weights_backbone=None, min_size=arguments.size, max_size=arguments.size).eval()
    images = [torch.rand(3, arguments.size, arguments.size)]
    torch.onnx.export(
        model,
        (images,),
        str(arguments.out),
        opset_version=arguments.opset,
        input_names=["image"],
        output_names=["boxes", "labels", "scores"],
        dynamo=False,  # the exporter of TorchScript: torchvision's own tests use it for these models
    )
    print("written:", arguments.out, f"{arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
