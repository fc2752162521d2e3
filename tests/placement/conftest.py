import pytest

from tests.placement.build import proto, saved


@pytest.fixture
def model(tmp_path):
    def make(*args, **kwargs):
        return saved(tmp_path, proto(*args, **kwargs))

    return make
