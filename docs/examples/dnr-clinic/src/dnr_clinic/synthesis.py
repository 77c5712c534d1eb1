"""How a clinic comes to be. Every value is a pure function of the seed and the row's id."""

from dnr_clinic.archetype import DOCTOR, DOCTORS, OUTCOMES, PATIENT, VISIT
from dnr_core import synth
from dnr_core.model import Family, Synthesis

OPENING = synth.Rhythm(
    weekday=(120, 110, 100, 100, 90, 20, 0),
    hour=(0,) * 8 + (110, 120, 120, 100, 60, 90, 110, 110, 100, 60) + (0,) * 6,
)
SPECIALTIES = ("general", "cardiology", "dermatology", "paediatrics")
FEES = synth.Amounts.of([(9_000, 400), (21_000, 500), (14_000, 450), (11_000, 400)])
RESULT = synth.Mix.of((86, 8, 6))


def patients(company):
    """When patients registered: half of them before the history."""
    size = synth.volume(company, 20_000)
    return synth.arrivals(company, "dim_patient", size, earlier_permille=500)


def visits(company):
    """When visits took place."""
    return synth.events(company, "fact_visit", synth.over_history(company, 400_000), rhythm=OPENING)


def _patients(company, ids):
    return {"patient_id": ids, "created_at": synth.instants(patients(company).created(ids))}


def _doctors(_, ids):
    return {"doctor_id": ids, "specialty": synth.words(ids % 4, SPECIALTIES)}


def _visits(company, chunk):
    known, stream = visits(company), synth.stream_of(company, "fact_visit")
    happened = known.chunk(chunk)
    # Only patients who had registered when the hour began.
    present = patients(company).existing(known.slots.starts)[happened.slot]
    doctor = 1 + stream.child("doctor_id").below(happened.ids, DOCTORS)
    at = synth.instants(happened.seconds)
    rows = {
        "visit_id": happened.ids,
        "patient_id": 1 + stream.child("patient_id").below(happened.ids, present),
        "doctor_id": doctor,
        "visited_at": at,
        "fee_cents": FEES.pick(stream.child("fee_cents").bits(happened.ids), doctor % 4),
        "outcome": synth.words(RESULT.pick(stream.child("outcome").bits(happened.ids)), OUTCOMES),
        "loaded_at": at,
    }
    return {"fact_visit": synth.record_batch(VISIT, rows)}


SYNTHESIS = Synthesis(
    (
        synth.rows_by_id(PATIENT, lambda company: patients(company).count, _patients),
        synth.rows_by_id(DOCTOR, lambda _: DOCTORS, _doctors),
        Family("visits", ("fact_visit",), lambda company: visits(company).chunks, _visits),
    ),
    parents={
        "dim_patient": synth.parent(lambda company: patients(company).count, patients),
        "dim_doctor": synth.parent(lambda _: DOCTORS),
    },
)
