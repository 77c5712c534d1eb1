"""Room: synth. Building blocks for authors of archetypes: seeds, calendar, arrivals, choice, money.

Everything here is a pure function of its arguments and made of integer arithmetic, so that the
same company comes out the same on every machine. Nothing here knows any archetype.
"""
