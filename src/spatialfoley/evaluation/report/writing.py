"""A report as files: JSON for programs, Markdown, LaTeX, and one page to open in a browser."""

import json
from pathlib import Path

from spatialfoley.evaluation.report.document import Report
from spatialfoley.evaluation.report.html import report_html
from spatialfoley.evaluation.report.latex import report_latex
from spatialfoley.evaluation.report.tables import report_document, report_markdown
from spatialfoley.media.atomic import atomic_path

JSON_FILE, MARKDOWN_FILE, LATEX_FILE, HTML_FILE = "results.json", "report.md", "tables.tex", "report.html"


def write_report(report: Report, folder: str | Path, latex_intervals: bool = False) -> dict[str, Path]:
    """Write `results.json`, `report.md`, `tables.tex` and `report.html`.

    Everything is made before anything is written, and each file is complete or not there.

    Args:
        report: What to write.
        folder: Where; made if missing.
        latex_intervals: Put the 95 % intervals into the LaTeX tables too; the papers leave them out.

    Returns:
        Path by name of the file.
    """
    texts = {
        JSON_FILE: json.dumps(report_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        MARKDOWN_FILE: report_markdown(report),
        LATEX_FILE: report_latex(report, latex_intervals),
        HTML_FILE: report_html(report),
    }
    paths = {name: Path(folder) / name for name in texts}
    for name, text in texts.items():
        with atomic_path(paths[name]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths
