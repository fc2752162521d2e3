#!/usr/bin/env bash
# What needs a GPU with TensorRT, part by part; each part has a time limit, a log, and JSON for what it found.
#
#     bash benchmarks/on_gpu.sh FOLDER [PART...]
#
# Parts: doctor models ladder stale kill twice context shapes native digits resnet survey detector sensitivity layers files failures record crash.
# All of them take about an hour; the models, the engine cache and the Runs stay in FOLDER, so that parts can be given one by one.
# CRASHES names models that are known to end the process (part crash). WORKBENCH_TENSORRT_PYTHON names the Python that has the
# tensorrt package, where this one has not.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 WORKBENCH_CACHE=$out/engines
python=${PYTHON:-python3}
store=$out/runs.sqlite3
batch='x=1x3x224x224:8x3x224x224:8x3x224x224'

part() { # NAME SECONDS COMMAND...
    local name=$1 limit=$2 began=$SECONDS
    shift 2
    timeout --kill-after=10 "$limit" "$@" >"$out/$name.log" 2>&1
    echo "$name: status $? after $((SECONDS - began)) s"
}

doctor() { part doctor 60 "$python" -m workbench doctor; }

models() {
    part models 180 "$python" - "$out" <<'PY'
import sys, torch, torchvision
from workbench import Model
torch.manual_seed(0)
for name in ("resnet18", "resnet50"):
    module = getattr(torchvision.models, name)(weights=None).eval()
    print(Model.from_torch(module, {"x": torch.rand(1, 3, 224, 224)}, dynamic={"x": {0: "batch"}}, path=f"{sys.argv[1]}/{name}.onnx"))
PY
}

ladder() { part ladder 300 "$python" benchmarks/engine_cache.py "$out/resnet50.onnx" --precision fp16 --profile "$batch" --only ladder --folder "$out/ladder" --out "$out/ladder.json" --runs "$out/ladder_runs.json" --limit 280; }
stale() { part stale 200 "$python" benchmarks/engine_cache.py "$out/resnet18.onnx" --profile "$batch" --option trt_builder_optimization_level=0 --only stale --folder "$out/stale" --out "$out/stale.json" --limit 180; }
kill9() { part kill 300 "$python" benchmarks/engine_cache.py "$out/resnet18.onnx" --profile "$batch" --option trt_builder_optimization_level=0 --only kill --folder "$out/kill" --out "$out/kill.json" --limit 280; }
twice() { part twice 150 "$python" benchmarks/engine_cache.py "$out/resnet18.onnx" --profile "$batch" --only twice --folder "$out/twice" --out "$out/twice.json" --limit 140; }
context() { part context 300 "$python" benchmarks/context.py "$out/resnet18.onnx" --profile "$batch" --precision fp16 --anyway --store "$store" --out "$out/context.json"; }
shapes() { part shapes 240 "$python" benchmarks/shapes.py --out "$out/shapes.json"; }
native() {
    part native 300 "$python" benchmarks/native.py "$out/resnet50.onnx" --profile "$batch" --out "$out/native.json"
    part native_samples 200 "$python" benchmarks/native.py workbench/samples/digits.onnx workbench/samples/encoder.onnx --out "$out/native_samples.json"
}
digits() { part digits 300 "$python" benchmarks/precision.py digits --profile image=1x1x8x8:16x1x8x8:64x1x8x8 --out "$out/digits.json" --runs "$out/digits_runs.json"; }
resnet() {
    part resnet_data 60 "$python" -c "import numpy as n, sys; r = n.random.default_rng(0); n.savez(sys.argv[1], x=r.standard_normal((256, 3, 224, 224), dtype='float32'))" "$out/random.npz"
    part resnet 570 "$python" benchmarks/precision.py "$out/resnet50.onnx" --data "$out/random.npz" --calibration "$out/random.npz" --calibrate-on cuda --samples 64 --calibration-samples 128 --profile "$batch" --out "$out/resnet.json" --runs "$out/resnet_runs.json"
}
survey() { part survey 575 "$python" benchmarks/survey_torchvision.py --out "$out/surveys" --limit 560 --trt 8.6 --model resnet18 --model resnet50; }
detector() { part detector 560 "$python" benchmarks/survey_torchvision.py --out "$out/surveys" --limit 540 --trt 8.6 --model fasterrcnn_resnet50_fpn; }
sensitivity() {
    part sensitivity 300 "$python" benchmarks/sensitivity.py --provider cuda
    part sensitivity_tensorrt 300 "$python" benchmarks/sensitivity.py --provider tensorrt --layers 2 --after /layer1/mlp/residual/Add
}
layers() {
    part layers 240 "$python" -m workbench run "$out/resnet18.onnx" --profile "$batch" --precision fp16 --layers --store "$store" --json
    part layers_native 240 "$python" -m workbench run "$out/resnet18.onnx" --provider native --profile "$batch" --precision fp16 --layers --store "$store" --json
    part engines 60 "$python" -m workbench engines list --model "$out/resnet18.onnx" --profile "$batch" --precision fp16 --json
}
files() {
    part files_write 120 "$python" -m workbench run workbench/samples/encoder.onnx --store "$store" -o trt_engine_cache_enable=True -o "trt_engine_cache_path=$out/own" --json
    part files 60 "$python" benchmarks/engine_files.py "$out/own" workbench/samples/encoder.onnx
}
failures() { # each must end as a Run of its own kind
    part failed_memory 60 "$python" -m workbench run "$out/resnet18.onnx" --provider cuda --store "$store" -o gpu_mem_limit=1000000 --no-accuracy --json
    part failed_time 60 "$python" -m workbench run "$out/resnet50.onnx" --profile "$batch" --store "$store" --no-cache --timeout session=5 --no-accuracy --json
    part failed_options 60 "$python" -m workbench run "$out/resnet18.onnx" --profile 'x=1x3x224x224:8x3x224x225:8x3x224x224' --store "$store" --no-accuracy --json
    part failed_engine 60 "$python" -m workbench run "$out/resnet18.onnx" --profile "$batch" --store "$store" -o trt_max_workspace_size=1 -o trt_builder_optimization_level=0 --no-accuracy --json
}
record() { part record 300 "$python" benchmarks/record.py "$out/samples.json" --provider cpu --provider cuda --provider tensorrt --precision fp32 --precision fp16 --seconds 2; }
crash() { for model in ${CRASHES:-}; do part "crash_$(basename "$model" .onnx)" 120 "$python" -m workbench run "$model" --store "$store" --no-accuracy --json; done; }

for name in "${@:-doctor}"; do
    case $name in
        kill) kill9 ;;
        doctor | models | ladder | stale | twice | context | shapes | native | digits | resnet | survey | detector | sensitivity | layers | files | failures | record | crash) "$name" ;;
        *) echo "unknown part $name" >&2; exit 2 ;;
    esac
done
