"""What a clinic is: tables, keys, money, words. Cheap to import."""

from dnr_core import model

DOCTORS, OUTCOMES = 60, ("attended", "cancelled", "missed")

PATIENT = model.Table(
    "dim_patient",
    (
        model.Column("patient_id", "int64", required=True, aliases=("patient number",)),
        model.Column("created_at", "timestamp", aliases=("registration date",)),
    ),
    primary_key="patient_id",
    created_at="created_at",
    title="patients",
    aliases=("patients", "patient list"),
)
DOCTOR = model.Table(
    "dim_doctor",
    (
        model.Column("doctor_id", "int64", required=True, aliases=("doctor number",)),
        model.Column("specialty", "string", aliases=("speciality", "department")),
    ),
    primary_key="doctor_id",
    title="doctors",
    aliases=("doctors", "physicians"),
)
VISIT = model.Table(
    "fact_visit",
    (
        model.Column("visit_id", "int64", required=True, aliases=("visit number",)),
        model.Column("patient_id", "int64", required=True, aliases=("visiting patient",)),
        model.Column("doctor_id", "int64", required=True, aliases=("treating doctor",)),
        model.Column("visited_at", "timestamp", aliases=("visit time",)),
        model.Column("fee_cents", "int64", aliases=("visit fee", "consultation fee")),
        model.Column("outcome", "string", values=OUTCOMES),
        model.Column("loaded_at", "timestamp"),
    ),
    primary_key="visit_id",
    foreign_keys=(
        model.ForeignKey("patient_id", "dim_patient", "patient_id", parent_time="created_at"),
        model.ForeignKey("doctor_id", "dim_doctor", "doctor_id"),
    ),
    event_time=model.EventTime("visited_at"),
    loaded_at="loaded_at",
    kind="fact",
    title="visits",
    aliases=("visits", "appointments", "consultations"),
)

ARCHETYPE = model.Archetype(
    "clinic",
    "Clinic",
    model.Schema((PATIENT, DOCTOR, VISIT)),
    streams=(
        model.RevenueStream(
            "fees",
            "fact_visit",
            model.Amount("fee_cents"),
            where=(model.Condition("outcome", "eq", "attended"),),
            title="Consultation fees",
        ),
    ),
    volumes={"dim_patient": 20_000, "dim_doctor": DOCTORS, "fact_visit": 400_000},
    fixed_tables=("dim_doctor",),
    vocabulary={
        "dashboard": ("the ward board", "the waiting list page", "the fee overview"),
        "report": ("the monthly fee pack", "the no-show report", "the board pack"),
        "team": ("front desk", "billing", "nursing", "the practice managers"),
        "metric": ("attended visits", "no-show rate", "fees", "visits per doctor"),
        "source_system": ("the booking system", "the billing export", "the patient registry"),
    },
    synthesis="dnr_clinic.synthesis:SYNTHESIS",
)
