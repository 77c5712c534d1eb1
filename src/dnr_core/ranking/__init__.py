"""Room: ranking. Weighs what is broken and what is asked for, in money, and says how sure it is."""

from dnr_core.ranking.score import at_risk, rank
from dnr_core.ranking.words import need_title, table_title

__all__ = ["at_risk", "need_title", "rank", "table_title"]
