"""The workbench as a user drives it: real JupyterLab, a real browser, a real run on the CPU."""

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.lab import Lab, need_browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
APP = Path(__file__).parents[1] / "notebooks" / "workbench.ipynb"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    need_browser()
    folder = tmp_path_factory.mktemp("app")
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(folder / "data")  # the store of Runs
    with Lab(folder) as running:
        shutil.copy(APP, running.root / APP.name)
        yield running
    os.environ.pop("XDG_DATA_HOME") if before is None else os.environ.update(XDG_DATA_HOME=before)


@pytest.fixture
def page(lab):
    with lab.open(APP.name, height=1200) as opened:
        opened.view.set_default_timeout(20_000)
        opened.run_all()
        expect(opened.view.locator(".wb-app")).to_contain_text("ai.onnx 17", timeout=20_000)  # what is in the model
        yield opened


def tab(page, title):
    page.view.locator(".wb-tabs .lm-TabBar-tabLabel", has_text=title).first.click()


def button(page, title):
    return page.view.locator(".wb-app button:visible", has_text=title).first


def table_rows(page):
    return page.view.locator(".wb-app .wb-table-row:visible")


def worker_of(page):
    """Return the worker process of the page's kernel."""
    found = [p for p in psutil.process_iter(["cmdline"]) if "workbench.runtime.worker_process" in (p.info["cmdline"] or ())]
    return found[-1] if found else None


def run(page):
    tab(page, "Build & measure")
    button(page, "Run").click()


def test_a_shape_profile_a_run_its_latency_and_a_new_row_without_leaving_the_machine(page):
    tab(page, "Options & shapes")
    sizes = page.view.locator(".wb-dimension:visible input")
    expect(sizes).to_have_count(3)
    sizes.nth(1).fill("5")
    sizes.nth(1).press("Enter")
    expect(page.view.locator(".wb-app")).to_contain_text("5 × 1 × 8 × 8")

    run(page)
    expect(page.view.locator(".wb-app .wb-badge:visible", has_text="measured")).to_be_visible(timeout=60_000)

    tab(page, "Results")
    expect(table_rows(page)).to_have_count(1)
    expect(table_rows(page).first).to_contain_text("digits")
    expect(page.view.locator(".wb-app .js-plotly-plot:visible").first).to_contain_text("Latency of digits")
    expect(page.view.locator(".wb-app")).to_contain_text("median")

    tab(page, "Placement")
    expect(page.view.locator(".wb-app")).to_contain_text("predicted")
    expect(page.view.locator(".wb-app .js-plotly-plot:visible").first).to_contain_text("share of nodes")

    assert page.outside == []
    assert page.errors == []


def test_the_notebook_survives_the_death_of_its_worker(page):
    run(page)
    expect(page.view.locator(".wb-app")).to_contain_text("measuring", timeout=60_000)
    worker_of(page).send_signal(signal.SIGKILL)
    expect(page.view.locator(".wb-app")).to_contain_text("SIGKILL", timeout=20_000)

    button(page, "Run").click()
    expect(page.view.locator(".wb-app .wb-badge:visible", has_text="measured")).to_be_visible(timeout=60_000)

    tab(page, "Results")
    expect(page.view.locator(".wb-app")).to_contain_text("crashed")
    assert page.outside == []


def test_a_path_that_is_no_model_is_told_where_it_was_typed(page, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    field = page.view.locator(".wb-path:visible input")
    field.fill(str(tmp_path / "broken.onnx"))
    field.press("Enter")

    expect(page.view.locator(".wb-status:visible")).to_contain_text("broken.onnx")
