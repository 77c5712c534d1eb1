"""What a clinic is: tables, keys, money, words. Cheap to import."""

from dnr_core.model import (
    Amount,
    Archetype,
    Column,
    Condition,
    EventTime,
    ForeignKey,
    RevenueStream,
    Schema,
    Table,
)

OUTCOMES = ("attended", "cancelled", "missed")

PATIENT = Table(
    "dim_patient",
    (
        Column("patient_id", "int64", required=True, aliases=("patient number",)),
        Column("created_at", "timestamp", aliases=("registration date",)),
    ),
    primary_key="patient_id",
    created_at="created_at",
    title="patients",
    aliases=("patients", "patient list"),
)
DOCTOR = Table(
    "dim_doctor",
    (
        Column("doctor_id", "int64", required=True, aliases=("doctor number",)),
        Column("specialty", "string", aliases=("speciality", "department")),
    ),
    primary_key="doctor_id",
    title="doctors",
    aliases=("doctors", "physicians"),
)
VISIT = Table(
    "fact_visit",
    (
        Column("visit_id", "int64", required=True, aliases=("visit number",)),
        Column("patient_id", "int64", required=True, aliases=("visiting patient",)),
        Column("doctor_id", "int64", required=True, aliases=("treating doctor",)),
        Column("visited_at", "timestamp", aliases=("visit time",)),
        Column("fee_cents", "int64", aliases=("visit fee", "consultation fee")),
        Column("outcome", "string", values=OUTCOMES),
        Column("loaded_at", "timestamp"),
    ),
    primary_key="visit_id",
    foreign_keys=(
        ForeignKey("patient_id", "dim_patient", "patient_id", parent_time="created_at"),
        ForeignKey("doctor_id", "dim_doctor", "doctor_id"),
    ),
    event_time=EventTime("visited_at"),
    loaded_at="loaded_at",
    kind="fact",
    title="visits",
    aliases=("visits", "appointments", "consultations"),
)

CLINIC = Archetype(
    "frozen_clinic",
    "Clinic",
    Schema((PATIENT, DOCTOR, VISIT)),
    streams=(
        RevenueStream(
            "fees",
            "fact_visit",
            Amount("fee_cents"),
            time="visited_at",
            where=(Condition("outcome", "eq", "attended"),),
            title="Consultation fees",
        ),
    ),
    volumes={"dim_patient": 20_000, "dim_doctor": 60, "fact_visit": 400_000},
    fixed_tables=("dim_doctor",),
    vocabulary={
        "dashboard": ("the ward board", "the waiting list page", "the fee overview"),
        "report": ("the monthly fee pack", "the no-show report", "the board pack"),
        "team": ("front desk", "billing", "nursing", "the practice managers"),
        "metric": ("attended visits", "no-show rate", "fees", "visits per doctor"),
        "source_system": ("the booking system", "the billing export", "the patient registry"),
    },
    synthesis="frozen_clinic.synthesis:SYNTHESIS",
)
