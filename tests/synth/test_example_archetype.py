from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "dnr-clinic" / "src"


@pytest.fixture
def clinic(monkeypatch: pytest.MonkeyPatch):
    """The clinic of the docs, as its plugin brings it."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from dnr_clinic.plugin import dnr_archetypes  # type: ignore[import-not-found]

    (found,) = dnr_archetypes()
    return found


def test_the_example_names_only_public_modules() -> None:
    """The example imports the hooks, the model and synth, and nothing else of the core."""
    allowed = ("from dnr_core.hookspecs ", "from dnr_core.model ", "from dnr_core import ")
    lines = [
        line
        for path in EXAMPLE.rglob("*.py")
        for line in path.read_text().splitlines()
        if "import" in line and "dnr_core" in line
    ]
    assert len(lines) > 3
    assert all(line.strip().startswith(allowed) for line in lines)
    rooms = [line.split(" import ")[1] for line in lines if line.startswith("from dnr_core import")]
    assert set(rooms) <= {"model", "synth"}


def test_the_example_makes_a_clean_company(clinic, company) -> None:
    """Its three tables have their volumes, and every key finds its parent in time."""
    from dnr_core.model import load

    made = company(archetype="clinic", scale=0.05)
    raw = duckdb.connect(":memory:")
    for family in load(clinic.synthesis).families:
        for table in family.tables:
            parts = [family.generate(made, n)[table] for n in range(family.chunks(made))]
            raw.register(table, pa.Table.from_batches(parts))
    assert clinic.problems() == ()
    patients, doctors, visits = (
        raw.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in ("dim_patient", "dim_doctor", "fact_visit")
    )
    assert (patients, doctors) == (1000, 60)
    assert visits == pytest.approx(20_000, rel=0.05)
    assert raw.execute(
        """SELECT count(*), count(DISTINCT visit_id), count(*) FILTER (loaded_at <> visited_at)
           FROM fact_visit JOIN dim_patient USING (patient_id) JOIN dim_doctor USING (doctor_id)
           WHERE visited_at >= created_at"""
    ).fetchone() == (visits, visits, 0)
