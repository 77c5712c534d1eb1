"""Room: api. What the command does, as a few typed calls: names in, objects out."""
