import pytest

from workbench.errors import ModelError
from workbench.model.model import Model


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"\n\n  <html>", "HTML"),
        (b"\xef\xbb\xbf<html>", "HTML"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x80\x02ctorch", "pickle"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"ftrt\x00\x00\x00\x00", "TensorRT engine"),
        (b"\x18\x00\x00\x00ORTM", "ORT format"),
        (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        (b'{"nodes": []}', "JSON"),
        (b' {\n  "a": 1}', "JSON"),
        (b'<ir_version: 8, opset_import: ["": 17]> g () => () {}', "text form"),
        (b"ir_version: 8\ngraph {}", "text form"),
    ],
)
def test_another_format_is_named_with_what_to_do(tmp_path, content, what):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=what) as caught:
        Model.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
