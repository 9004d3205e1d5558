"""How good a render is: measured on the pixels that were written, told on one page."""

from photodouble.evaluation.measure import measure, measuring, plate_rows
from photodouble.evaluation.metrics import mean_embedding
from photodouble.evaluation.quality import Quality, summarise
from photodouble.evaluation.report import ReportData, Version, write_report

__all__ = [
    "Quality",
    "ReportData",
    "Version",
    "mean_embedding",
    "measure",
    "measuring",
    "plate_rows",
    "summarise",
    "write_report",
]
