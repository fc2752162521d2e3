"""The widgets in real JupyterLab, looked at by a real browser; one test guards what the graph view expects of Netron."""

import pytest
from playwright.sync_api import expect

from tests.lab import Lab, need_browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
import plotly.graph_objects as go, tempfile, pathlib
from tests.panels.models import chain_model, split_placement
from workbench.panels.figure_view import FigureView
from workbench.panels.netron_model import shown_model
from workbench.panels.netron_view import NetronView
from workbench.panels.table import Column, Row, Table
from workbench.placement.records import CPU, TENSORRT
model = chain_model(pathlib.Path(tempfile.mkdtemp()) / "chain.onnx")
COLOURS = {TENSORRT: "#009E73", CPU: "#E69F00"}
"""
FIGURE = """
figure = FigureView(go.Figure(go.Bar(y=[3, 1, 2], customdata=["a", "b", "c"])), height=260)
figure.observe(lambda change: setattr(figure, "figure", go.Figure(go.Bar(y=[1] * change.new.point))), "clicked")
figure
"""
TABLE = """
table = Table([
    Column(title="Node"),
    Column(title="Provider", kind="chip", colours={"TensorRT": "#009E73", "CPU": "#E69F00"}, filter=True),
    Column(title="Time", kind="number", format=",.1f"),
], height=240)
def row(i):
    return Row(f"n{i}", (f"node {i}", "CPU" if i % 10 == 0 else "TensorRT", None if i == 5 else i * 37 % 10_000))
table.rows = [row(i) for i in range(10_000)]
import ipywidgets
echo = ipywidgets.Label(); echo.add_class("echo")
table.observe(lambda change: setattr(echo, "value", " ".join(change.new)), "selected")
far = ipywidgets.Button(description="far"); far.on_click(lambda _: setattr(table, "selected", ["n7654"]))
ipywidgets.VBox([far, echo, table])
"""
GRAPH = """
net = NetronView(height=460)
net.show(shown_model(model, split_placement(model)), COLOURS, "chain")
said = ipywidgets.Label(); said.add_class("said")
net.observe(lambda change: setattr(said, "value", f"{net.ready} {net.selected}"), ["selected", "ready"])
go_to = ipywidgets.Button(description="choice"); go_to.on_click(lambda _: setattr(net, "selected", "choice"))
fold = ipywidgets.Button(description="fold")
fold.on_click(lambda _: net.show(shown_model(model, split_placement(model), fold=True), COLOURS, "chain"))
lose = ipywidgets.Button(description="lose"); lose.on_click(lambda _: setattr(net, "via", "proxy"))
ipywidgets.VBox([ipywidgets.HBox([go_to, fold, lose]), said, net])
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    need_browser()
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        lab.write("widgets.ipynb", [SETUP, FIGURE, TABLE, GRAPH])
        with lab.open("widgets.ipynb", height=1800) as opened:
            opened.run_all()
            opened.view.set_default_timeout(25_000)
            yield opened


@pytest.fixture
def graph(page):
    page.view.locator(".wb-netron").scroll_into_view_if_needed()
    page.view.wait_for_selector(".wb-netron-message[hidden]", state="attached", timeout=20_000)
    return page.view.frame_locator(".wb-netron iframe")


def texts(page, selector):
    return page.view.locator(selector).all_inner_texts()


def bars(page):
    return page.view.locator(".wb-figure .bars .point")


def test_figure_is_drawn_as_wide_as_its_place(page):
    bars(page).nth(2).wait_for()
    place, plot = (page.view.locator(s).bounding_box() for s in (".wb-figure", ".wb-figure .main-svg >> nth=0"))
    assert abs(place["width"] - plot["width"]) < 2
    assert plot["height"] == 260
    assert page.view.locator(".wb-figure .plotlyjsicon").count() == 0


def test_click_on_a_figure_reaches_python_which_draws_it_anew(page):
    bars(page).nth(2).wait_for()
    box = bars(page).nth(1).bounding_box()
    page.view.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    bars(page).nth(1).wait_for(state="detached")
    assert bars(page).count() == 1


def test_table_shows_the_first_of_ten_thousand_rows(page):
    page.view.wait_for_selector(".wb-table-row")
    assert texts(page, ".wb-table-count") == ["10,000 rows"]
    assert page.view.locator(".wb-table-row").count() < 60
    assert texts(page, ".wb-table-row >> nth=5") == ["node 5\nTensorRT\n–"]


def test_heading_and_rows_are_aligned(page):
    heads = [cell.bounding_box() for cell in page.view.locator(".wb-table-title").all()]
    cells = [cell.bounding_box() for cell in page.view.locator(".wb-table-row >> nth=0 >> .wb-table-cell").all()]
    assert [(h["x"], h["width"]) for h in heads] == [(c["x"], c["width"]) for c in cells]


def test_table_sorts_numbers_and_puts_the_missing_last(page):
    title = page.view.locator(".wb-table-title button", has_text="Time")
    title.click()
    assert texts(page, ".wb-table-row >> nth=1 >> .wb-number") == ["1.0"]
    title.click()
    assert texts(page, ".wb-table-row >> nth=0 >> .wb-number") == ["9,999.0"]
    page.view.locator(".wb-table-port").focus()
    page.view.keyboard.press("End")
    page.view.wait_for_selector(".wb-table-row.wb-selected")
    assert texts(page, ".wb-table-row.wb-selected .wb-number") == ["–"]
    title.click()


def test_table_filters_by_text_and_by_category(page):
    page.view.fill(".wb-table-search", "node 99")
    page.view.select_option(".wb-table-select", label="CPU (1,000)")
    assert texts(page, ".wb-table-count")[0].startswith("29 of 10,000 rows")
    page.view.fill(".wb-table-search", "nothing like it")
    assert texts(page, ".wb-table-empty") == ["No row matches the filter."]
    page.view.fill(".wb-table-search", "")
    page.view.select_option(".wb-table-select", index=0)
    assert texts(page, ".wb-table-count") == ["10,000 rows"]


def test_rows_are_selected_by_mouse_and_keyboard(page):
    page.view.locator(".wb-table-port").evaluate("port => { port.scrollTop = 0; }")
    page.view.click(".wb-table-row[data-id=n1]")
    page.view.click(".wb-table-row[data-id=n3]", modifiers=["Shift"])
    page.view.wait_for_selector(".echo:has-text('n1 n2 n3')")
    page.view.click(".wb-table-row[data-id=n2]", modifiers=["Control"])
    page.view.wait_for_selector(".echo:has-text('n1 n3')")
    page.view.keyboard.press("ArrowDown")
    page.view.wait_for_selector(".echo:text-is('n3')")


def test_row_selected_from_python_is_scrolled_to(page):
    page.view.click("button:text-is('far')")
    page.view.wait_for_selector(".wb-table-row.wb-selected[data-id=n7654]")


def test_graph_is_drawn_with_the_colours_of_the_providers(page, graph):
    page.view.wait_for_selector(".said:has-text('9')")
    for node, colour in (("choice", "rgb(230, 159, 0)"), ("/block/add 3", "rgb(0, 158, 115)")):
        title = graph.locator(f"[id='node-name-{node}'] .node-item-type path").first
        expect(title).to_have_css("fill", colour)
    assert graph.locator(".message-button").first.is_hidden()


def test_click_in_the_graph_reaches_python(page, graph):
    graph.locator("[id='node-name-/block/add 2'] .node-item-type").first.click()
    page.view.wait_for_selector(".said:has-text('/block/add 2')")


def test_node_selected_from_python_is_highlighted_in_sight(page, graph):
    page.view.click("button:text-is('choice')")
    node = graph.locator("g.workbench-selected[id='node-name-choice']")
    node.wait_for()
    assert graph.locator("g.workbench-selected").count() == 1
    frame, box = page.view.locator(".wb-netron iframe").bounding_box(), node.bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"]


def test_folded_group_is_one_node(page, graph):
    page.view.click("button:text-is('fold')")
    page.view.wait_for_selector(".said:has-text('4 choice')")
    expect(graph.locator(".node-item-type text").first).to_contain_text("Engine 1 (6)")


def test_everything_is_there_again_after_a_reload(page):
    page.save()
    page.load()
    bars(page).first.wait_for()
    page.view.wait_for_selector(".wb-table-row.wb-selected[data-id=n7654]")
    page.view.locator(".wb-netron").scroll_into_view_if_needed()
    page.view.wait_for_selector(".wb-netron-message[hidden]", state="attached", timeout=20_000)


def test_graph_that_cannot_be_reached_says_so_and_what_to_install(page):
    page.view.click("button:text-is('lose')")
    page.view.locator(".wb-netron").scroll_into_view_if_needed()
    page.view.wait_for_selector(".wb-netron-message:has-text('install jupyter-server-proxy')")
    page.view.wait_for_selector(".wb-netron-message button:text-is('Try again')")
    page.errors = [error for error in page.errors if "404" not in error]  # what Jupyter answers without that proxy


def test_nothing_left_the_machine_and_nothing_went_wrong(page):
    assert page.outside == []
    assert page.errors == []
