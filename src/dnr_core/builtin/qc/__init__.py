"""Room: builtin. What the builtin QC checks do, one module a subject."""
