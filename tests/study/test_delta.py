import random

import pytest

from workbench.study.delta import smallest


@pytest.mark.parametrize("needed", [{3}, {0}, {99}, {2, 3}, {5, 60, 99}, set(range(10, 20)), set(range(100))])
def test_what_is_needed_is_what_is_left(needed):
    assert set(smallest(range(100), lambda kept: needed <= set(kept))) == needed


def test_no_item_can_be_left_out_even_where_several_answers_pass():
    def passes(kept):
        return {1, 2} <= set(kept) or {7} <= set(kept)

    found = smallest(range(10), passes)
    assert passes(found)
    assert not any(passes([x for x in found if x != item]) for item in found)


def test_one_needed_item_is_found_in_few_tests():
    tests = 0

    def passes(kept):
        nonlocal tests
        tests += 1
        return 777 in kept

    assert smallest(range(1000), passes) == [777]
    assert tests <= 40


def test_tests_that_are_not_monotonic_end_too():
    draw = random.Random(0)
    answers = {}

    def passes(kept):
        return len(kept) == 50 or answers.setdefault(tuple(kept), draw.random() < 0.3)

    found = smallest(range(50), passes)
    assert passes(found)


def test_a_single_item_or_none_is_left_as_it_is():
    assert smallest([4], lambda _: True) == [4]
    assert smallest([], lambda _: True) == []
