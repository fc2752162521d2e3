import pytest

from tests.panels.fakes import make_state
from workbench.options.settings import Settings
from workbench.panels.what_if_panel import WhatIfPanel
from workbench.samples.catalogue import sample_path


@pytest.fixture
def moved():
    return []


@pytest.fixture
def panel(tmp_path, moved):
    state = make_state(tmp_path, settings=Settings())
    made = WhatIfPanel(state, moved.append)
    state.load_model(sample_path("detector"))
    yield made
    assert made.failure is None


def test_without_a_model_nothing_can_be_asked(tmp_path):
    made = WhatIfPanel(make_state(tmp_path), print)
    assert made.operators.values == ()
    assert made.search.disabled
    assert repr(made) == "WhatIfPanel(nothing asked)"


def test_operators_of_the_model_can_be_kept_from_tensorrt(panel, browser_says):
    assert "Resize" in panel.operators.values
    browser_says(panel.operators, selected=["Resize"])
    assert panel.state.questions.question.exclude == ("Resize",)
    assert "→" in panel.answer.value
    assert repr(panel) == "WhatIfPanel(trt_op_types_to_exclude=Resize)"


def test_answer_tells_engines_shares_and_the_nodes_that_move(panel, browser_says):
    browser_says(panel.operators, selected=["Resize"])
    assert "On CUDA" in panel.answer.value
    assert "TensorRT → CUDA" in panel.answer.value
    assert "Resize" in panel.answer.value


def test_each_control_is_part_of_the_question(panel):
    panel.smallest.value, panel.iterations.value, panel.release.value = 4, 7, "8.6"
    panel.dimensions[0].fixed.value = True
    question = panel.state.questions.question
    assert (question.min_subgraph, question.iterations, question.tensorrt) == (4, 7, "8.6")
    assert question.static == (("height", 320),)


def test_size_of_a_dimension_that_stays_dynamic_is_no_question(panel):
    panel.dimensions[0].size.value = 99
    assert not panel.state.questions.asked


def test_controls_follow_the_settings(panel):
    panel.state.set_option("trt_min_subgraph_size", 6)
    panel.state.set_option("trt_op_types_to_exclude", "Conv,Resize")
    assert panel.smallest.value == 6
    assert sorted(panel.operators.selected) == ["Conv", "Resize"]
    assert not panel.state.questions.asked


def test_excluded_operator_that_the_model_lacks_stays_excluded(panel, browser_says):
    panel.state.set_option("trt_op_types_to_exclude", "NonZero")
    browser_says(panel.operators, selected=["Resize"])
    assert panel.state.questions.question.exclude == ("NonZero", "Resize")


def test_apply_puts_the_question_into_the_settings(panel, browser_says, browser_clicks):
    browser_says(panel.operators, selected=["Resize"])
    browser_clicks(panel.apply)
    assert panel.state.settings.provider_options == {"trt_op_types_to_exclude": "Resize"}
    assert "trt_op_types_to_exclude=Resize" in panel.status.value
    assert panel.apply.layout.display == "none"


def test_reset_takes_the_controls_back(panel, browser_clicks):
    panel.smallest.value = 9
    browser_clicks(panel.reset)
    assert panel.smallest.value == 1
    assert panel.state.evidence == "predicted"


def test_nodes_that_move_can_be_selected(panel, moved, browser_says, browser_clicks):
    browser_says(panel.operators, selected=["Resize"])
    browser_clicks(panel.moved)
    assert len(moved[0]) == len(panel.state.questions.answer.moves)


def test_smallest_change_is_proposed_and_tried(panel, browser_clicks):
    panel.state.tensorrt = "8.6"
    browser_clicks(panel.search)
    assert "one engine" in panel.proposal.value
    browser_clicks(panel.take)
    assert panel.state.supposed.engines() == 1
    assert panel.take.layout.display == "none"


def test_controls_can_be_folded_away(panel):
    panel.toggle.value = False
    assert panel.columns.layout.display == "none"


def test_session_that_cannot_be_made_is_told(panel):
    panel.state.load_model(sample_path("digits"))
    assert "Change something" in panel.answer.value
