"""Room: warehouse. Engines: each makes the parts that it is asked for, and says what they are.

An engine is a function `(parts, build, stop, workers) -> iterator of PartRecord`, where `build`
makes one part and is pure but for the files that it writes. Part files do not depend on the engine.
"""
