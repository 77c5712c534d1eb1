"""Room: synth. Building blocks for authors of archetypes: seeds, calendar, arrivals, choice, money.

Everything here is a pure function of its arguments and made of integer arithmetic, so that the
same company comes out the same on every machine. Nothing here knows any archetype.
"""

from dnr_core.synth.arrivals import (
    EVEN,
    Arrivals,
    Comers,
    Events,
    Followers,
    Happenings,
    Rhythm,
    arrivals,
    events,
    expected_shares,
    followers,
)
from dnr_core.synth.calendar import (
    DAY,
    US,
    Clock,
    Slots,
    clock,
    company_clock,
    history,
    months_before,
    opening_day,
    trend,
)
from dnr_core.synth.choice import (
    Alias,
    Mix,
    MixByGroup,
    Shuffle,
    Zipf,
    apportion,
    busier,
    zipf,
)
from dnr_core.synth.columns import (
    ARROW_TYPES,
    dates,
    instants,
    over_history,
    record_batch,
    rows_by_id,
    volume,
    words,
)
from dnr_core.synth.money import Amounts, exp_fixed, of_bps
from dnr_core.synth.parents import parent
from dnr_core.synth.poisson import poisson
from dnr_core.synth.seeds import I64, U64, Stream, below, raw, stream, stream_of

__all__ = [
    "ARROW_TYPES",
    "DAY",
    "EVEN",
    "I64",
    "U64",
    "US",
    "Alias",
    "Amounts",
    "Arrivals",
    "Clock",
    "Comers",
    "Events",
    "Followers",
    "Happenings",
    "Mix",
    "MixByGroup",
    "Rhythm",
    "Shuffle",
    "Slots",
    "Stream",
    "Zipf",
    "apportion",
    "arrivals",
    "below",
    "busier",
    "clock",
    "company_clock",
    "dates",
    "events",
    "exp_fixed",
    "expected_shares",
    "followers",
    "history",
    "instants",
    "months_before",
    "of_bps",
    "opening_day",
    "over_history",
    "parent",
    "poisson",
    "raw",
    "record_batch",
    "rows_by_id",
    "stream",
    "stream_of",
    "trend",
    "volume",
    "words",
    "zipf",
]
