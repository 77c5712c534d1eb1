"""Data that nobody here made. Not collected unless DNR_REAL_DATA names its folder."""

from __future__ import annotations

import os

if not os.environ.get("DNR_REAL_DATA"):
    collect_ignore_glob = ["test_*.py"]
