import pytest

from tests.panels.fakes import make_state
from workbench.errors import WorkbenchError
from workbench.options.settings import Settings
from workbench.panels.questions import panel_name, question_name
from workbench.samples.catalogue import sample_path


@pytest.fixture
def state(tmp_path):
    made = make_state(tmp_path, settings=Settings())
    made.load_model(sample_path("detector"))
    return made


@pytest.fixture
def questions(state):
    return state.questions


def test_nothing_is_asked_at_first(questions):
    assert not questions.asked
    assert questions.answer is None


def test_question_without_a_model_is_refused(tmp_path):
    with pytest.raises(WorkbenchError, match="no model"):
        make_state(tmp_path).questions.ask(exclude=("Conv",))


def test_answer_is_shown_as_a_placement_of_its_own(state, questions):
    questions.ask(exclude=("Resize",))
    assert state.evidence == "what-if"
    assert state.placement is state.supposed
    assert questions.answer.moves
    assert state.predicted.coverage != state.supposed.coverage
    assert len(questions.costs) == 2


def test_question_taken_back_shows_the_prediction_again(state, questions):
    questions.ask(exclude=("Resize",))
    questions.ask(exclude=())
    assert (state.evidence, state.supposed, questions.answer) == ("predicted", None, None)


def test_applied_question_is_in_the_settings(state, questions):
    questions.ask(exclude=("Resize",), min_subgraph=3, tensorrt="8.6")
    supposed = state.supposed
    said = questions.apply()
    assert state.settings.provider_options == {"trt_op_types_to_exclude": "Resize", "trt_min_subgraph_size": 3}
    assert state.tensorrt == "8.6"
    assert state.predicted.groups == supposed.groups
    assert "TensorRT 8.6" in said
    assert not questions.asked


def test_option_asked_back_to_its_default_leaves_the_settings(state, questions):
    state.set_option("trt_op_types_to_exclude", "Resize")
    state.set_option("trt_min_subgraph_size", 7)
    questions.ask(exclude=(), min_subgraph=1)
    questions.apply()
    assert state.settings.provider_options == {}


def test_static_dimension_becomes_a_profile_of_one_size(state, questions):
    questions.ask(static=(("height", 320),))
    questions.apply()
    assert state.settings.profile.to_arguments() == ["image=1x3x320x64:1x3x320x480:1x3x320x960"]


def test_nothing_asked_changes_nothing(state, questions):
    before = state.settings
    assert questions.apply() == ()
    assert state.settings == before


def test_changed_settings_are_the_new_start(state, questions):
    questions.ask(min_subgraph=4)
    state.set_option("trt_op_types_to_exclude", "Resize")
    assert questions.question.exclude == ("Resize",)
    assert questions.question.min_subgraph == 1
    assert state.evidence == "predicted"


def test_search_proposes_a_change_that_can_be_asked(state, questions):
    state.tensorrt = "8.6"
    questions.search()
    assert questions.proposal.question.tensorrt == "8.6"
    questions.take()
    assert questions.answer.engines_after == 1


def test_next_model_drops_question_and_proposal(state, questions):
    questions.search()
    questions.ask(exclude=("Conv",))
    state.load_model(sample_path("digits"))
    assert (questions.proposal, questions.answer, state.supposed) == (None, None, None)
    assert not questions.asked


def test_question_that_cannot_be_answered_is_trouble_of_the_placement(state, questions):
    questions.ask(static=(("nobody", 3),))
    assert state.trouble.place == "placement"
    assert questions.thinking == ""


@pytest.mark.parametrize(("panel", "question"), [("batch", "batch"), ("x[0]", "x:0"), ("a[b]", "a[b]")])
def test_dimensions_are_named_both_ways(panel, question):
    assert question_name(panel) == question
    assert panel_name(question) == panel
