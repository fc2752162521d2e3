import pytest

from workbench.errors import InputError
from workbench.options.seen import dimension_labels, read_shapes, seen_shapes


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "shapes.csv"
        path.write_text(text)
        return path

    return write


def sizes(seen):
    return {tuple(size for _, size in request.sizes): request.count for request in seen}


def test_dimensions_are_named_as_the_model_names_them(dynamic, make_model):
    assert dimension_labels(dynamic) == {"batch": ("x[0]", "mask[0]"), "height": ("x[2]",), "width": ("x[3]",)}
    assert dimension_labels(make_model({"x": [None, 3]})) == {"x[0]": ("x[0]",)}


def test_a_list_of_shapes_is_counted(dynamic):
    requests = [{"x": (1, 3, 8, 8)}, {"x": (1, 3, 8, 8), "mask": (1, 77)}, {"x": (2, 3, 8, 9)}]
    assert sizes(seen_shapes(dynamic, requests)) == {(1, 8, 8): 2, (2, 8, 9): 1}


def test_a_shape_that_does_not_fit_is_told_with_its_number(dynamic):
    with pytest.raises(InputError, match="request 2: axis 1 of input 'x' is 4; the model fixes it to 3"):
        seen_shapes(dynamic, [{"x": (1, 3, 8, 8)}, {"x": (1, 4, 8, 8)}])
    with pytest.raises(InputError, match=r"request 1: .* has no input 'musk'\. Did you mean 'mask'"):
        seen_shapes(dynamic, [{"musk": (1, 77)}])


@pytest.mark.parametrize(
    "text",
    [
        "batch,height,width\n1,8,9\n1,8,9\n2,8,8\n",
        "width,batch,height,count\n9,1,8,2\n8,2,8,\n",
        "x[0],x[1],x[2],x[3]\n1,3,8,9\n1,3,8,9\n2,3,8,8\n",
        "x,mask\n1x3x8x9,1x77\n1x3x8x9,1x77\n2x3x8x8,2x77\n",
        "name,shape,count\nx,1x3x8x9,2\n\nx,2x3x8x8,1\n",
        "\ufeffbatch,height,width\r\n1,8,9\r\n1,8,9\r\n2,8,8\r\n",
    ],
)
def test_the_header_decides_what_the_columns_are(dynamic, csv, text):
    assert sizes(read_shapes(csv(text), dynamic)) == {(1, 8, 9): 2, (2, 8, 8): 1}


def test_rows_of_one_input_say_nothing_of_the_others(dynamic, csv):
    seen = read_shapes(csv("name,shape\nmask,4x77\nx,1x3x8x8\n"), dynamic)
    assert sizes(seen) == {(4,): 1, (1, 8, 8): 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("batch,heigth,width\n1,2,3\n", "column 'heigth' is no dimension and no input of model. Did you mean 'height'"),
        ("batch,height,width\n1,2,3\n1,x,3\n", "line 3: 'x' in column 'height' is no whole number of 1 or more"),
        ("batch,height,width\n1,0,3\n", "line 2: '0' in column 'height'"),
        ("batch,height,width\n1,2,3,4\n", "line 2: has 4 cells, the header 3"),
        ("batch,height,width\n1,-2,3\n", "line 2: '-2'"),
        ("x\n1x3x8\n", "line 2: input 'x' has 3 dimensions"),
        ("x,mask\n1x3x8x8,2x77\n", "line 2: dimension 'batch' is 1 and 2 at once"),
        ("x[1],batch\n5,1\n", r"line 2: x\[1\] is 5; the model fixes it to 3"),
        ("name,shape\nx,1by3\n", "line 2: input 'x': '1by3' is no shape"),
        ("name,shape\nz,1x3\n", "line 2: model has no input 'z'"),
        ("batch,height,width\n,,\n", "holds no shapes"),
        ("", "has no columns"),
        ("a,b,c\n" + "1,2,3\n", "column 'a'"),
    ],
)
def test_what_cannot_be_read_names_the_line_or_the_column(dynamic, csv, text, told):
    with pytest.raises(InputError, match=told):
        read_shapes(csv(text), dynamic)


def test_many_wrong_lines_are_counted(dynamic, csv):
    with pytest.raises(InputError, match=r"line 2: .* line 3: .* line 4: .* \(2 more lines are wrong\)"):
        read_shapes(csv("batch,height,width\n" + "a,1,1\n" * 5), dynamic)


def test_a_file_that_is_not_there_or_no_text_is_told(dynamic, csv, tmp_path):
    with pytest.raises(InputError, match="cannot be read as CSV: No such file"):
        read_shapes(tmp_path / "none.csv", dynamic)
    path = csv("")
    path.write_bytes(b"\xff\xfe\x00batch")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_shapes(path, dynamic)
