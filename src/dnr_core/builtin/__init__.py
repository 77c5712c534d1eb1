"""Room: builtin. What ships with the core, through the same door as any plugin."""
