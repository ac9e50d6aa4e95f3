"""CSV files as people have them: cell for cell, or one line that says what to do."""

import pytest

from loadtest.data.csv_text import read_csv
from loadtest.errors import DatasetError

ROWS = "größe,ort\r\n77.6,Köln\r\n61.2,Bonn\r\n"
CELLS = (["77.6", "61.2"], ["Köln", "Bonn"])


def read(tmp_path, content, wanted=()):
    content = content.encode() if isinstance(content, str) else content
    table = read_csv(tmp_path / "rows.csv", content, wanted)
    return table.names, tuple(column.to_pylist() for column in table.columns), table.notes


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (ROWS.encode(), None),
        # Excel's 'CSV UTF-8'; the mark is no part of the first name
        (ROWS.encode("utf-8-sig"), None),
        # Excel's 'Unicode text', and what Windows' tools write without a mark
        (ROWS.encode("utf-16"), "read as UTF-16"),
        (ROWS.encode("utf-16-be"), "read as UTF-16"),
        (ROWS.encode("utf-32"), "read as UTF-32"),
        (ROWS.encode("cp1252"), "read as Windows-1252, because it is not UTF-8: größe, Köln"),
        (ROWS.replace(",", ";").encode(), "columns are separated by semicolons"),
        (ROWS.replace(",", "\t").encode(), "columns are separated by tabs"),
        (ROWS.replace(",", "|").encode(), "columns are separated by vertical bars"),
        # Excel's own line
        ("sep=;\r\n" + ROWS.replace(",", ";"), "columns are separated by semicolons"),
        # old Macs, and blank lines at both ends
        (ROWS.replace("\r\n", "\r"), None),
        ("\r\n" + ROWS + "\r\n\r\n", None),
        (ROWS + "\x1a", None),
        ('"größe","ort"\n"77.6","Köln"\n61.2,Bonn', None),
        # a quote inside of a cell is one
        (ROWS.replace("Köln", 'K"öln'), None),
    ],
)
def test_the_same_rows_in_other_clothes(tmp_path, content, note):
    names, cells, notes = read(tmp_path, content)
    assert names == ("größe", "ort")
    assert tuple([cell.replace('"', "") for cell in column] for column in cells) == CELLS
    assert notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("text", "wanted", "names"),
    [
        # decimal commas: commas are as frequent as semicolons
        ("a;label\n1,5;x\n2,5;y\n", (), ("a", "label")),
        # every line has one comma, the header has one, too: the name that is asked for decides
        ("Größe, m²;label\n77,6;groß\n", ("label",), ("Größe, m²", "label")),
        # a comma is in every text, semicolons in some
        ('a,label\n"x;y",1\n"z;",2\n', (), ("a", "label")),
        # a single column has no separator
        ("label\nx\ny\n", (), ("label",)),
        ("", (), None),
        ("\ufeff\r\n", (), None),
    ],
)
def test_the_separator_is_found(tmp_path, text, wanted, names):
    if names is None:
        with pytest.raises(DatasetError, match="is empty; an evaluation set needs a line of column names"):
            read(tmp_path, text, wanted)
    else:
        assert read(tmp_path, text, wanted)[0] == names


def test_quoted_line_breaks_beyond_any_block(tmp_path):
    long = "line\n" * 400_000
    lines = [f'{i},"he said ""{i}""\r\nand left",x\n' for i in range(30_000)]
    names, cells, _ = read(tmp_path, "id,text,label\n" + "".join(lines) + f'last,"{long}",y\n')
    assert names == ("id", "text", "label")
    assert cells[0] == [*map(str, range(30_000)), "last"]
    assert cells[1][:2] == ['he said "0"\r\nand left', 'he said "1"\r\nand left']
    assert cells[1][-1] == long


@pytest.mark.parametrize(
    ("content", "says"),
    [
        # Polish, Russian, Japanese, and a Mac's: as Windows-1252 they would be other words
        ("a,label\nżółty,1\n".encode("cp1250"), "does not read well as Windows-1252.*iconv -f"),
        ("a;label\nщи да лук;1\n".encode("cp1251"), "is not UTF-8"),
        ("a,label\n日本語,1\n".encode("shift-jis"), "is not UTF-8"),
        ("a,label\nschön,1\n".encode("mac-roman"), "is not UTF-8"),
        ("größe,label\n1,2\n".encode("utf-16")[:-3], "begins as UTF-16-LE and is not"),
        (b"\x00\xff,,\n\x00", "is no text"),
        ("a,label\n1,x\n2\n", "row 2 has 1 cell, the header has 2 names"),
        ("a,label\n1,x\n2,y,z\n", "row 2 has 3 cells, the header has 2 names; .*double quotes"),
        # R's write.table
        ("a,label\n1,2,x\n2,3,y\n3,4,z\n", "every row has 3 cells, the header has 2 names; .*row.names"),
        # Arrow's reader would take the rest of the file for one cell
        ('a,label\n1,"x\n2,y\n3,z\n', "row 1 has a broken quote .*each of them twice"),
        # and would drop a quote here
        ('a,label\n1,"say \\"hi\\" now"\n', "row 1 has a broken quote"),
        ("# made by hand\na,label\n1,x\n", "first line is a comment, '# made by hand'; take out"),
        # most rows are as wide as it: it names the columns
        ("#id,a,label\n1,2,x\n2,3,y\n2,3,y,\n", "row 3 has 4 cells, the header has 3 names"),
        ("a b label\n1 2 x\n", r"separated by blanks; .*sep=r'\\s\+'"),
    ],
)
def test_what_cannot_be_read_right_is_refused_in_one_line(tmp_path, content, says):
    with pytest.raises(DatasetError, match=says) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'rows.csv'}: ")
    assert "\n" not in str(caught.value)


def test_the_advice_on_encodings_works(tmp_path):
    content = "a,label\nżółty,1\n".encode("cp1250")
    with pytest.raises(
        DatasetError, match=r"iconv -f ITS_ENCODING -t UTF-8 \S+/rows\.csv > \S+/utf8-rows\.csv$"
    ):
        read(tmp_path, content)
    assert read(tmp_path, content.decode("cp1250").encode("utf-8"))[1] == (["żółty"], ["1"])


@pytest.mark.parametrize(
    "text",
    [
        "€ 5",
        "5 °C",
        "100 m²",
        "crème brûlée, naïve",
        "créée",
        "señor ¿qué?",
        "don\u2019t – “so”",
        "Straße",
        "Œuvre",
        "½",
    ],
)
def test_western_text_reads_as_windows_1252_or_is_refused(tmp_path, text):
    content = f'a,label\n"{text}",1\n'.encode("cp1252")
    try:
        assert read(tmp_path, content)[1][0] == [text]
    except DatasetError as error:
        assert "iconv" in str(error)  # noqa: PT017 - either way out is right
