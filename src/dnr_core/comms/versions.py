"""Room: comms. The versions that decide the bytes of a folder of talk."""

from __future__ import annotations

from importlib import metadata


def versions() -> dict[str, str]:
    """Return the versions of dnr and of what writes its Parquet files."""
    return {name: metadata.version(name) for name in ("dnr-core", "pyarrow")}
