import types

import onnxruntime

from workbench.options.settings import Settings
from workbench.runtime.engines.standby import standby_session


def runtime(make):
    return types.SimpleNamespace(InferenceSession=make, capi=onnxruntime.capi)


def test_what_keeps_tensorrt_started_is_a_session_of_one_node_on_the_job_s_gpu():
    asked = []

    def make(model, *, providers, enable_fallback):
        asked.append((providers, enable_fallback))
        return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    session = standby_session(runtime(make), Settings(provider_options={"device_id": 1}))

    assert [one.name for one in session.get_inputs()] == ["x"]
    (((provider, options),), fallback) = asked[0]
    assert (provider, options["device_id"], fallback) == ("TensorrtExecutionProvider", "1", 0)


def test_where_it_fails_the_job_s_own_session_tells_why():
    def make(*_, **__):
        raise RuntimeError("no TensorRT")

    assert standby_session(runtime(make), Settings()) is None
