"""The Precision tab in real JupyterLab: the digits sample is calibrated on a few of its own data, and looked into."""

import pytest

from tests.lab import Lab, need_browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CELL = "from workbench import Workbench\nworkbench = Workbench(store='runs.sqlite3')\nworkbench"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    need_browser()
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))  # no earlier calibration of the same data
        with Lab(folder) as lab:
            lab.write("precision.ipynb", [CELL])
            with lab.open("precision.ipynb") as opened:
                opened.view.set_default_timeout(20_000)
                opened.run_all()
                opened.view.click(".lm-TabBar-tabLabel:text-is('Precision')")
                yield opened


def visible(page, selector):
    return page.view.locator(f"{selector} >> visible=true")


def test_the_samples_data_and_the_ways_are_told(page):
    visible(page, ".wb-fact-value:has-text('450 labels of 10 kinds')").wait_for()
    assert visible(page, ".wb-grid tbody tr:has-text('INT8')").count() == 1
    assert visible(page, "button:has-text('Make the FP16 model')").count() == 1


def test_calibration_on_a_few_samples_opens_the_explorer(page):
    samples = page.view.locator(".wb-field:has-text('Samples (0: all)') input >> visible=true").first
    samples.fill("24")
    samples.press("Tab")
    visible(page, "button:has-text('Calibrate')").click()
    visible(page, ".wb-fact-value:text-is('24')").wait_for()

    assert visible(page, ".wb-table-row").first.get_attribute("class").find("wb-selected") >= 0
    visible(page, ".wb-figure:has-text('Range of')").first.wait_for()
    assert visible(page, ".wb-figure:has-text('clipped')").count() == 1
    second = visible(page, ".wb-table-row").nth(1)
    name = second.get_attribute("data-id")
    second.click()
    visible(page, f".wb-figure:has-text('Range of {name}')").wait_for()
    assert visible(page, "button:has-text('Make the Q/DQ model')").count() == 1


def test_nothing_went_wrong(page):
    assert page.view.locator(".wb-error >> visible=true").count() == 0
    assert page.outside == []
    assert page.errors == []
