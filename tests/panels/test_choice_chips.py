from workbench.panels.choice_chips import Chip, ChoiceChips


def chips(*chosen):
    made = ChoiceChips("Operators")
    made.show([Chip("Conv", "12"), Chip("Relu"), Chip("Add")], chosen)
    return made


def test_chosen_chips_are_in_the_order_of_the_chips():
    assert chips("Add", "Conv").selected == ["Conv", "Add"]


def test_what_is_no_chip_is_not_chosen():
    assert chips("Gemm").selected == []


def test_click_in_the_browser_reaches_python(browser_says):
    made = chips()
    browser_says(made, selected=["Relu"])
    assert made.selected == ["Relu"]


def test_repr_is_short():
    assert repr(chips("Add")) == "ChoiceChips(1 of 3 chosen)"
