"""Room: report. Shows the answer: one assembled object, then JSON, Markdown, figures and the page."""

from dnr_core.report.assemble import Report, assemble
from dnr_core.report.index import write_index

__all__ = ["Report", "assemble", "write_index"]
