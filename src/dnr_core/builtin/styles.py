"""Room: builtin. Three ways in which the people of a made company write."""

from __future__ import annotations

from typing import Final

from dnr_core.model import CommsStyle

PLAIN: Final = CommsStyle(
    name="plain",
    title="plain office English",
    vocabulary={
        "greeting": ("hi", "hi all", "hello", "morning", "hi team", "hey", "hello everyone"),
        "thanks": ("thanks", "thank you", "thanks a lot", "much appreciated", "many thanks"),
        "signoff": ("Best", "Thanks", "Regards", "Many thanks", "Best regards", "Talk soon"),
        "ack": ("ok", "got it", "right", "fair", "makes sense", "sure", "noted", "same here"),
        "soon": ("today", "tomorrow", "this week", "before the weekly", "by Friday", "by noon"),
    },
    traits={"lowercase": 0.12, "typo": 0.02, "no_punctuation": 0.10, "emoji": 0.04},
    instructions=(
        "Write as colleagues in a mid-sized company do: short, friendly, to the point. "
        "Plain English, few abbreviations, at most one emoji in a message."
    ),
)

TERSE: Final = CommsStyle(
    name="terse",
    title="terse chat, with slang and typos",
    vocabulary={
        "greeting": ("yo", "hey", "heya", "hey folks", "sup", "oi all"),
        "thanks": ("thx", "ty", "tysm", "cheers", "ta"),
        "signoff": ("thx", "ty", "cheers", "k thx", "l8r"),
        "ack": ("yep", "+1", "yup", "k", "fair", "same", "kk", "roger"),
        "soon": ("asap", "eod", "eow", "rn", "before standup", "tmrw"),
    },
    traits={"slang": 0.75, "lowercase": 0.85, "typo": 0.14, "no_punctuation": 0.70, "emoji": 0.18},
    instructions=(
        "Write as engineers do in a busy chat: fragments, lower case, slang and abbreviations "
        "(asap, idk, afaict, wip), missing full stops, a typo in every seventh message or so."
    ),
)

FORMAL: Final = CommsStyle(
    name="formal",
    title="formal correspondence",
    vocabulary={
        "greeting": ("Good morning", "Good afternoon", "Dear colleagues", "Dear team", "Dear all"),
        "thanks": ("thank you", "thank you very much", "many thanks", "with thanks"),
        "signoff": ("Kind regards", "Yours sincerely", "With kind regards", "Best regards"),
        "ack": ("agreed", "that is correct", "understood", "I concur", "duly noted"),
        "soon": (
            "at your earliest convenience",
            "before the close of business",
            "in the course of this week",
            "ahead of the steering committee",
        ),
    },
    traits={"formal": 1.0, "lowercase": 0.0, "typo": 0.0, "no_punctuation": 0.0, "emoji": 0.0},
    instructions=(
        "Write as people do in a large, formal organisation: full sentences, courteous, no slang, "
        "no contractions, no emoji."
    ),
)

STYLES: Final = (PLAIN, TERSE, FORMAL)
