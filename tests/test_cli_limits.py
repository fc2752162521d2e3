import pytest

from workbench.cli.limits import read_limits
from workbench.errors import SettingsError


def test_one_limit_for_all_and_others_for_single_stages():
    limit, stages = read_limits(["600", "session=1200", "first run=90.5"])

    assert limit == 600
    assert [(each.stage, each.seconds) for each in stages] == [("session", 1200), ("first run", 90.5)]


def test_without_limits_half_an_hour_is_given():
    assert read_limits([]) == (1800, ())


def test_an_unknown_stage_is_told_with_the_nearest():
    with pytest.raises(SettingsError, match="no stage 'sesion'") as caught:
        read_limits(["sesion=3"])
    assert "'session'" in caught.value.remedy
    with pytest.raises(SettingsError) as caught:
        read_limits(["xyz=3"])
    assert "warm-up" in caught.value.remedy


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "long", "session=", "session=-3", ""])
def test_a_limit_must_be_a_positive_number(text):
    with pytest.raises(SettingsError, match="no positive number"):
        read_limits([text])
