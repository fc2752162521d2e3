"""The workbench in real JupyterLab, used as a person would: every tab once, on the digits model."""

import pytest

from tests.lab import Lab, need_browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CELL = "from workbench import Workbench\nworkbench = Workbench(store='runs.sqlite3')\nworkbench"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    need_browser()
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        lab.write("app.ipynb", [CELL])
        with lab.open("app.ipynb") as opened:
            opened.view.set_default_timeout(20_000)
            yield opened


def tab(page, title):
    page.view.click(f".lm-TabBar-tabLabel:text-is('{title}')")


def visible(page, selector):
    return page.view.locator(f"{selector} >> visible=true")


def test_app_is_usable_after_run_all(page):
    page.run_all()
    page.view.wait_for_selector(".wb-fact-value:text-is('digits.onnx')")


def test_model_tab_tells_what_is_in_the_file(page):
    assert visible(page, ".wb-grid tbody tr").count() == 3
    assert visible(page, ".wb-table-row").first.inner_text().startswith("Relu")


def test_placement_shows_one_selection_in_strip_table_and_graph(page):
    tab(page, "Placement")
    visible(page, ".wb-verdict .wb-badge-predicted").wait_for()
    visible(page, ".wb-figure .main-svg").first.wait_for()
    visible(page, ".wb-table-row[data-id='/stage2/conv/Conv']").click()
    visible(page, ".wb-notice.wb-info:has-text('/stage2/conv/Conv')").wait_for()
    page.view.locator(".wb-netron").scroll_into_view_if_needed()
    graph = page.view.frame_locator(".wb-netron iframe")
    graph.locator("g.workbench-selected[id='node-name-/stage2/conv/Conv']").wait_for()

    graph.locator("[id='node-name-/stage2/pool/MaxPool'] .node-item-type").first.click()

    page.view.wait_for_selector(".wb-table-row.wb-selected[data-id='/stage2/pool/MaxPool']")


def test_what_if_is_answered_beside_the_graph_and_taken_back(page):
    visible(page, ".wb-chip[data-value=MaxPool]").click()
    visible(page, ".wb-change:has-text('On TensorRT')").wait_for()
    visible(page, ".wb-verdict:has-text('what if')").wait_for()
    visible(page, ".wb-table-row[data-id='/stage2/pool/MaxPool']:has-text('CUDA')").wait_for()

    visible(page, "button:has-text('Reset')").click()

    visible(page, ".wb-verdict:not(:has-text('what if'))").wait_for()
    page.view.wait_for_selector(".wb-chip[data-value=MaxPool][aria-pressed=false]")


def test_options_are_found_and_checked(page):
    tab(page, "Options & shapes")
    visible(page, ".wb-options-search").fill("spinning")
    row = page.view.locator(".wb-option[data-key='session.intra_op.allow_spinning']")
    row.locator("select").select_option("false")
    page.view.wait_for_selector(".wb-options-summary:text-is('1 changed')")
    row.locator(".wb-option-reset").click()
    page.view.wait_for_selector(".wb-options-summary:text-is('all at their defaults')")

    visible(page, ".wb-options-search").fill("intra_op_num_threads")
    field = page.view.locator(".wb-option[data-key=intra_op_num_threads] input")
    field.fill("many")
    field.press("Tab")
    page.view.wait_for_selector(".wb-option-problem:has-text('many')")


def test_shape_profile_is_changed(page):
    field = page.view.locator(".wb-dimension input").nth(1)
    field.fill("5")
    field.press("Enter")
    page.view.wait_for_selector(".wb-grid td:text-is('5 × 1 × 8 × 8')")


def test_run_ends_with_a_latency(page):
    tab(page, "Build & measure")
    visible(page, "button:has-text('Run')").click()
    visible(page, ".wb-outcome .wb-badge-measured").wait_for(timeout=60_000)
    assert page.view.locator(".wb-step-done").count() > 5


def test_results_show_the_new_run_and_its_latency(page):
    tab(page, "Results")
    visible(page, ".wb-table-row.wb-selected").first.wait_for()
    assert visible(page, ".wb-table-row").count() == 1
    visible(page, ".wb-figure:has-text('latency (ms)') .scatterlayer .trace").first.wait_for()
    assert "float32 5×1×8×8" in visible(page, ".wb-facts:has-text('Input image')").inner_text()


def test_engines_tab_says_where_engines_are_kept(page):
    tab(page, "Engines")
    visible(page, ".wb-note:has-text('cache: /')").wait_for()
    assert visible(page, "button:has-text('Preview')").count() == 1


def test_python_cell_reproduces_the_state(page):
    page.view.click("button:has-text('Python cell')")
    page.view.click(".wb-code button")
    page.view.wait_for_selector(".wb-code button:text-is('Copied')")
    copied = page.view.evaluate("navigator.clipboard.readText()")
    assert "image=1x1x8x8:5x1x8x8:64x1x8x8" in copied
    assert copied.splitlines()[-1].startswith("Workbench(")


def test_everything_is_there_again_after_a_reload(page):
    page.save()
    page.load()
    page.view.wait_for_selector(".wb-headline b:text-is('digits.onnx')")
    tab(page, "Results")
    visible(page, ".wb-table-row.wb-selected").first.wait_for()


def test_nothing_left_the_machine_and_nothing_went_wrong(page):
    assert page.outside == []
    assert page.errors == []
