"""Room: cli. What a command does not import."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    """Says that there is no pandas where it is dnr's own code that would import it.

    No module of dnr imports pandas by name, so what asks from there is a library in C.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - Python's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Raise for pandas, and leave every other module to the finders that follow."""
        if fullname == "pandas":
            frame = sys._getframe(1)
            while frame.f_back and frame.f_globals.get("__name__", "").startswith("importlib"):
                frame = frame.f_back
            if frame.f_globals.get("__name__", "").startswith("dnr_core"):
                raise ModuleNotFoundError(fullname, name=fullname)
        return None


def without_pandas() -> None:
    """Have pyarrow and DuckDB do without pandas in this process, where dnr calls them.

    Given a list, both import pandas, where it is installed, to ask whether the list is one of its
    own: half a second of every command, which uses no pandas. A plugin, or a backend of Ibis, that
    imports pandas by name gets it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, _NoPandas())
    # It asks once and remembers, so that its own modules in Python do not ask either.
    pa.array([0])
