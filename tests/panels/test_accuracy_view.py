from tests.figures.records import output, run
from tests.figures.test_worst_inputs import judged
from workbench.panels.accuracy_text import accuracy_text
from workbench.panels.accuracy_view import AccuracyView


def test_a_wrong_run_says_that_its_latency_does_not_count():
    text = accuracy_text(run("a", [1.0] * 10, accuracy=[output(cosine=0.5)]))
    assert "the latency does not count" in text
    assert "cosine 0.5 in logits" in text


def test_task_accuracy_is_told_with_its_interval():
    text = accuracy_text(judged())
    assert "90.00%, 450 samples" in text
    assert accuracy_text(run("b")) == ""


def test_worst_inputs_are_drawn_on_demand():
    view = AccuracyView(lambda call: call)
    view.show(judged())
    assert (view.look.layout.display, view.figure.figure) == ("", None)
    view.look.click()
    assert len(view.figure.figure.data) == 2
    view.show(run("b"))
    assert (view.look.layout.display, view.figure.figure) == ("none", None)
