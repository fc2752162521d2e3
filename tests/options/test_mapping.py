import copy
import pickle

import pytest
from pydantic import TypeAdapter

from workbench.options.mapping import Options


def test_order_does_not_matter_to_equality_and_hash():
    one, other = Options({"a": 1, "b": True}), Options({"b": True, "a": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert list(one) == ["a", "b"]
    assert one == {"b": True, "a": 1}
    assert one != Options({"a": 2, "b": True})


def test_it_cannot_be_changed():
    options = Options({"a": 1})
    with pytest.raises(TypeError):
        options["a"] = 2
    source = {"a": 1}
    kept = Options(source)
    source["a"] = 2
    assert kept["a"] == 1


def test_copies_pickles_and_json_keep_it():
    options = Options({"b": "x", "a": 1, "c": False})
    assert pickle.loads(pickle.dumps(options)) == options
    assert copy.deepcopy(options) == options
    adapter = TypeAdapter(Options)
    assert adapter.dump_json(options) == b'{"a":1,"b":"x","c":false}'
    assert adapter.validate_json(adapter.dump_json(options)) == options
