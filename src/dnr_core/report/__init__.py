"""Room: report. Shows the answer: one assembled object, then JSON, Markdown, figures and the page."""

from dnr_core.report.assemble import Report, assemble
from dnr_core.report.earlier import Earlier, read_earlier
from dnr_core.report.index import write_index

__all__ = ["Earlier", "Report", "assemble", "read_earlier", "write_index"]
