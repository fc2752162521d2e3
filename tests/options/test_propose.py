import pytest

from workbench.errors import InputError
from workbench.options.propose import propose_profile
from workbench.options.seen import seen_shapes


@pytest.fixture(scope="module")
def text(make_model):
    return make_model({"ids": ["batch", "length"]})


@pytest.fixture(scope="module")
def line(make_model):
    return make_model({"x": ["n"]})


def proposed(model, *requests):
    return propose_profile(model, seen_shapes(model, [{model.inputs[0].name: shape} for shape in requests]))


def dimension(proposal, name):
    return next(each for each in proposal.dimensions if each.name == name)


def test_the_range_is_that_of_the_data_and_the_optimum_the_commonest(text):
    proposal = proposed(text, *[(1, 128)] * 8, (4, 64), (2, 200))
    assert proposal.profile.to_arguments() == ["ids=1x64:1x128:4x200"]
    assert proposal.requests == 10
    assert proposal.at_opt == 0.8
    length = dimension(proposal, "length")
    assert length.sizes == ((64, 1), (128, 8), (200, 1))
    assert length.at_opt == 0.8


def test_large_requests_count_for_more_because_they_take_longer(line):
    assert proposed(line, *[(10,)] * 5, *[(14,)] * 4).profile.of("x")[0].opt == (14,)


def test_spread_sizes_are_tuned_at_the_median_of_the_work(line):
    given = proposed(line, *[(n,) for n in range(1, 101)]).profile.of("x")[0]
    assert (given.min, given.max) == ((1,), (100,))
    assert given.opt == (71,)  # 1 + ... + 71 is half of 1 + ... + 100


def test_few_requests_beyond_the_others_are_told_and_do_not_decide_the_optimum(line):
    proposal = proposed(line, *[(100,)] * 60, *[(90,)] * 60, (5000,))
    assert proposal.profile.of("x")[0].max == (5000,)
    assert proposal.profile.of("x")[0].opt == (100,)
    (finding,) = proposal.findings
    assert "1 of 121 requests widen the range from 100 to 5,000" in finding.seen
    assert "max 100" in finding.action


def test_two_groups_of_sizes_are_proposed_two_profiles(text):
    proposal = proposed(text, *[(1, n) for n in range(100, 120)], *[(1, n) for n in range(400, 420)])
    small, large = proposal.split.profiles
    assert (small.of("ids")[0].min, small.of("ids")[0].max) == ((1, 100), (1, 119))
    assert (large.of("ids")[0].min, large.of("ids")[0].max) == ((1, 400), (1, 419))
    assert proposal.split.shares == (0.5, 0.5)
    assert "50% of the requests have length up to 119, 50% 400 or more" in proposal.split.reason
    assert proposal.split.together.count == 2
    assert proposal.split.together.check(text) == []


@pytest.mark.parametrize(
    "lengths",
    [
        [100] * 10 + [400],  # a few large ones are outliers, no group
        [1, 2, 4, 8, 16, 32] * 5,  # doubling is one pattern, not two groups
        [*range(100, 200)],
    ],
)
def test_other_spreads_are_one_group(line, lengths):
    assert proposed(line, *[(n,) for n in lengths]).split is None


def test_an_outlier_is_no_gap(line):
    proposal = proposed(line, *[(n,) for n in range(100, 160)] * 2, *[(n,) for n in range(400, 460)] * 2, (9000,))
    assert proposal.split is not None
    assert proposal.split.together.of("x")[1].min == (100,) or proposal.split.together.of("x")[0].min == (100,)


def test_a_dimension_that_no_request_speaks_of_is_named(dynamic):
    with pytest.raises(InputError, match="say nothing of 'height', 'width'"):
        propose_profile(dynamic, seen_shapes(dynamic, [{"mask": (2, 77)}]))


def test_nothing_to_propose_is_told(static, line):
    with pytest.raises(InputError, match="all inputs have fixed shapes"):
        propose_profile(static, ())
    with pytest.raises(InputError, match="No request was seen"):
        propose_profile(line, ())


def test_single_inputs_shapes_give_a_range_for_each_dimension(dynamic):
    seen = seen_shapes(dynamic, [{"mask": (2, 77)}, {"mask": (4, 77)}, {"x": (2, 3, 8, 9)}])
    proposal = propose_profile(dynamic, seen)
    assert str(proposal.profile) == "mask=2x77:4x77:4x77 x=2x3x8x9:4x3x8x9:4x3x8x9" or proposal.profile.of("x")[0].opt[2:] == (
        8,
        9,
    )
    assert proposal.split is None
