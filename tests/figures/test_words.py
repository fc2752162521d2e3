import pytest

from workbench.figures.words import counted, escaped, milliseconds, shortened, wrapped


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "12.3 µs"),
        (0.0999, "99.9 µs"),
        (0.1, "0.100 ms"),
        (1.2345, "1.23 ms"),
        (9.996, "10.0 ms"),
        (99.96, "100 ms"),
        (1234.5, "1,234 ms"),
        (12345.0, "12.3 s"),
    ],
)
def test_milliseconds_have_three_digits_and_the_unit_that_suits(value, text):
    assert milliseconds(value) == text


def test_long_text_loses_its_middle():
    text = shortened("/model/layer0/attention/MatMul_1", 17)
    assert text == "/model/l…MatMul_1"
    assert len(text) == 17


def test_short_text_stays():
    assert shortened("logits") == "logits"


def test_tags_in_names_are_no_tags():
    assert escaped("a<b>&c") == shortened("a<b>&c") == wrapped("a<b>&c") == "a&lt;b&gt;&amp;c"


def test_wrapped_breaks_lines():
    assert wrapped("one two three", 8) == "one two<br>three"


def test_counted_knows_the_plural():
    assert [counted(n, "node") for n in (0, 1, 2048)] == ["0 nodes", "1 node", "2,048 nodes"]
    assert counted(2, "axis", "axes") == "2 axes"
