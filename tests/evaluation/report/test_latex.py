import re

import pytest

from spatialfoley.evaluation.report.document import Metric, SystemRow, Table
from spatialfoley.evaluation.report.latex import escape_latex, report_latex, table_latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        (r"50% & #1 $x_2 {y}", r"50\% \& \#1 \$x\_2 \{y\}"),
        ("a\\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        ("−3.0° ± 2 µs", r"$-$3.0$^\circ$ $\pm$ 2 $\mu$s"),
        ("Fréchet – “x”", "Fréchet -- ``x''"),
        ("猫\x07", "[U+732B][U+0007]"),
        ("two\nlines", "two lines"),
    ],
)
def test_every_special_sign_is_escaped(text, latex):
    assert escape_latex(text) == latex


def rows_of(latex):
    body = latex[latex.index(r"\toprule") : latex.index(r"\bottomrule")]
    return [line for line in body.splitlines() if line.endswith(r"\\")]


def test_structure_of_a_table(table):
    latex = table_latex(table)
    columns = re.search(r"\\begin\{tabular\}\{(l+r*)\}", latex)[1]
    assert columns == "lrrrr"
    rows = rows_of(latex)
    assert len(rows) == 1 + len(table.rows)
    assert all(len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1 for row in rows)
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    for name in ("table", "tabular", "minipage"):
        assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}") == 1
    assert r"angle, median $\downarrow$ ($^\circ$)\textsuperscript{a}" in rows[0]


def test_best_is_bold_second_underlined_and_published_stands_below_a_rule(table):
    latex = table_latex(table)
    rows = rows_of(latex)
    assert rows[2].startswith(r"ours\textsuperscript{b} & \underline{12.3} & \underline{0.800} & 10.0\% & --")
    assert r"\textbf{12.2}" in rows[3]
    assert r"\textbf{0.900}" in rows[4]
    assert rows[5].startswith(r"paper\textsuperscript{$\dagger$c} & -- & 0.950 & --")
    lines = latex.splitlines()
    assert lines[lines.index(rows[5]) - 1] == r"\midrule"
    assert r"\textsuperscript{c}measured with mirrored left \& right" in latex


def test_intervals_are_small_and_only_on_demand(table):
    assert "scriptsize" not in table_latex(table)
    assert r"\textbf{0.900} {\scriptsize [0.800, 1.000]}" in table_latex(table, intervals=True)


def test_wide_tables_are_scaled_and_titles_cannot_leave_their_comment(text_report):
    metrics = tuple(Metric(f"m{i}", f"m{i}") for i in range(9))
    wide = table_latex(Table("t", metrics, (SystemRow("s", {m.key: None for m in metrics}),)))
    assert r"\resizebox{\textwidth}{!}{%" in wide
    report = type(text_report)(title="two\n\\input{x}", tables=text_report.tables)
    assert report_latex(report).splitlines()[0] == r"% two \input{x}"
