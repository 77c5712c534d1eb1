"""Room: testing. Makes chunks in a process of its own: `python -m dnr_core.testing.elsewhere`."""

from __future__ import annotations

import json
import sys
from datetime import datetime

from dnr_core.model import Company, Synthesis, load


def main() -> None:
    """Print the digests of the synthesis at a dotted path, for a company given as JSON."""
    from dnr_core.testing.rules.purity import digests

    path, told = sys.argv[1:]
    synthesis: Synthesis | str = path
    fields = json.loads(told)
    company = Company(**{**fields, "as_of": datetime.fromisoformat(fields["as_of"])})
    json.dump(digests(load(synthesis).families, company), sys.stdout)


if __name__ == "__main__":
    main()
