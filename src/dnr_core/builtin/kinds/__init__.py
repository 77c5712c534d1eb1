"""Room: builtin. What the builtin defect kinds do to the rows that they are given."""
