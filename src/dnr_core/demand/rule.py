"""Room: demand. The prefilter's rule as statements of DuckDB, one source of talk at a time.

They run in the order in which they stand here, over the view `talk` (the messages of the source);
`terms`, `writers`, `reach` and `term_reach` are given. What comes out are
`firsts` and `scored`. Texts are
read once. Items are known by the row of `firsts`, so that ids are compared as rarely as can be:
comparing ten million of them costs as much as the search for words.
"""

from __future__ import annotations

from typing import Final

# The first message of an item is its root.
ROOTS: Final = """
CREATE OR REPLACE TEMP TABLE firsts AS
SELECT item_id, thread_id, message_id AS root_id, ts, channel, bucket, user_id,
       epoch_us(ts) // 3600000000 AS hour
FROM talk WHERE is_root
"""

# Items without a root or with several, and those with code or a link. Most are neither.
MARKS: Final = """
CREATE OR REPLACE TEMP TABLE marks AS
SELECT item_id, count(*) FILTER (is_root) AS roots, bool_or(has_code) AS code, bool_or(has_link) AS link
FROM talk GROUP BY item_id HAVING roots <> 1 OR code OR link
"""

# A thread whose root is not there (an import that begins in the middle of it) starts with its
# earliest message; so does one with several.
ODD: Final = """
DELETE FROM firsts WHERE item_id IN (SELECT item_id FROM marks WHERE roots > 1);

INSERT INTO firsts
WITH chosen AS (
  SELECT item_id, arg_min(
    struct_pack(thread_id, message_id, ts, channel, bucket, user_id),
    concat(coalesce(printf('%020d', epoch_us(ts)), '~'), message_id)
  ) AS m
  FROM talk JOIN (FROM marks WHERE roots <> 1) USING (item_id)
  WHERE is_root OR roots = 0 GROUP BY item_id
)
SELECT item_id, m.thread_id, m.message_id, m.ts, m.channel, m.bucket, m.user_id,
       epoch_us(m.ts) // 3600000000
FROM chosen
"""

# No message is searched twice, but the first ones of threads that lack their root.
FOUND: Final = """
CREATE OR REPLACE TEMP TABLE found AS
SELECT item_id, is_root, unnest(regexp_extract_all(text, $pattern, 0, 'i')) AS hit FROM talk
"""

ANY_WITHOUT_ROOT: Final = "FROM marks WHERE roots = 0 LIMIT 1"

FOUND_FIRST: Final = """
INSERT INTO found
SELECT item_id, true, unnest(regexp_extract_all(text, $pattern, 0, 'i'))
FROM talk SEMI JOIN (
  SELECT item_id, root_id AS message_id FROM firsts SEMI JOIN (FROM marks WHERE roots = 0) USING (item_id)
) USING (item_id, message_id)
"""

# Which term of the lexicon a hit is, looked up once a distinct hit, of which there are few. What
# is no word of it and begins like a figure is one; other names with an underscore are none.
TERMS_OF_HITS: Final = r"""
SELECT hit, rank, root_weight
FROM (SELECT hit, regexp_replace(lower(hit), '\s+', ' ', 'g') AS term
      FROM (SELECT DISTINCT hit FROM found)) AS said
JOIN terms ON terms.term = CASE
  WHEN said.term IN (SELECT term FROM terms) THEN said.term
  WHEN NOT regexp_matches(said.term, '^[a-z_]') THEN '#' END
"""

HITS: Final = f"""
CREATE OR REPLACE TEMP TABLE hits AS
WITH known AS ({TERMS_OF_HITS})
SELECT firsts.rowid AS item, rank, bool_or(is_root) AS is_root
FROM found JOIN known USING (hit) JOIN firsts USING (item_id) GROUP BY ALL
"""  # noqa: S608  what is pasted in is a constant of this module

# A local day is looked up by the hour, where the hour lies in one day and no clock is changed in
# it: converting each instant takes five times as long.
# Points of words are bounded by themselves before the role counts, so that a role that weighs as
# much as the bound (a bot's) leaves nothing. What `firsts` has of an item is not written again.
SCORED: Final = """
CREATE OR REPLACE TEMP TABLE scored AS
WITH counted AS (
  SELECT item, rank, grp = 'sql' AS is_sql,
    CASE WHEN grp <> 'near_miss' THEN CASE WHEN is_root THEN root_weight ELSE reply_weight END END AS adds,
    CASE WHEN grp = 'near_miss' THEN CASE WHEN is_root THEN root_weight ELSE reply_weight END END AS takes
  FROM hits JOIN terms USING (rank)
), words AS (
  SELECT item, (coalesce(sum(adds), 0) + greatest(coalesce(sum(takes), 0), $near_miss_least)
    + CASE WHEN bool_or(is_sql) THEN $sql ELSE 0 END)::INTEGER AS points,
    list_sort(list(rank))[:$most] AS ranks
  FROM counted GROUP BY item
), near AS MATERIALIZED (
  SELECT firsts.rowid AS item, hour, ts
  FROM firsts JOIN reach USING (hour) WHERE ts >= begins AND ts < ends
), said_near AS MATERIALIZED (
  SELECT item, rank, hour, ts FROM hits JOIN near USING (item)
), near_table AS (
  SELECT item, min("table") AS "table" FROM said_near JOIN term_reach USING (rank, hour)
  WHERE ts >= begins AND ts < ends GROUP BY item
), bounds AS (
  SELECT hour, timezone($tz, make_timestamptz(hour * 3600000000)) AS begins,
         timezone($tz, make_timestamptz(hour * 3600000000 + 3599999999)) AS ends
  FROM (SELECT DISTINCT hour FROM firsts WHERE hour > 0)
), hours AS (
  SELECT hour, begins::DATE AS day FROM bounds
  WHERE begins::DATE = ends::DATE AND epoch_us(ends) - epoch_us(begins) = 3599999999
), joined AS (
  SELECT firsts.rowid AS item, firsts.ts, hours.day, role, coalesce(weight, 0) AS weight,
    coalesce(words.points, 0) AS words, coalesce(ranks, []) AS ranks,
    coalesce(code, false) AS code, coalesce(link, false) AS link,
    near.item IS NOT NULL AS near, near_table."table" AS near_table,
    bucket IS NULL OR list_contains($buckets::VARCHAR[], bucket) AS admitted
  FROM firsts
  LEFT JOIN words ON words.item = firsts.rowid
  LEFT JOIN marks USING (item_id)
  LEFT JOIN near ON near.item = firsts.rowid
  LEFT JOIN near_table ON near_table.item = firsts.rowid
  LEFT JOIN writers USING (user_id)
  LEFT JOIN hours ON hours.hour = firsts.hour
), totals AS (
  SELECT *, greatest(0, least(100, weight + least(100, words
      + CASE WHEN code THEN $code ELSE 0 END + CASE WHEN link THEN $link ELSE 0 END
      + CASE WHEN near_table IS NOT NULL THEN $incident_table
             WHEN near THEN $incident ELSE 0 END)))::UTINYINT AS points,
    list_transform(ranks, lambda rank: $reasons[rank]) AS terms
  FROM joined
)
SELECT item, coalesce(day, timezone($tz, ts)::DATE) AS day, role, points,
  CASE WHEN code OR link OR near OR weight <> 0 OR NOT admitted THEN list_concat(terms,
    CASE WHEN code THEN ['code'] ELSE [] END, CASE WHEN link THEN ['link'] ELSE [] END,
    CASE WHEN near_table IS NOT NULL THEN [concat('incident:', near_table)]
         WHEN near THEN ['incident'] ELSE [] END,
    CASE WHEN weight <> 0 THEN [concat('role:', role)] ELSE [] END,
    CASE WHEN admitted THEN [] ELSE ['bucket'] END) ELSE terms END AS reasons,
  CASE WHEN admitted AND points >= $threshold THEN 'score' ELSE '' END AS kept_by,
  admitted AND weight >= 0 AS may_fall_back
FROM totals
"""

# Where a channel-day keeps none, its best are kept, but never what a role weighs down.
FALLBACK: Final = """
UPDATE scored SET kept_by = 'fallback' WHERE item IN (
  WITH placed AS (
    SELECT item, channel, day, kept_by, may_fall_back
    FROM scored JOIN firsts ON firsts.rowid = item
  ), none_kept AS (
    SELECT channel, day FROM placed GROUP BY ALL
    HAVING NOT bool_or(kept_by = 'score') AND bool_or(may_fall_back)
  ), rivals AS (
    SELECT item, placed.channel, placed.day FROM placed JOIN none_kept
      ON placed.channel IS NOT DISTINCT FROM none_kept.channel
     AND placed.day IS NOT DISTINCT FROM none_kept.day
    WHERE may_fall_back
  )
  SELECT item FROM rivals JOIN scored USING (item) JOIN firsts ON firsts.rowid = item
  QUALIFY row_number() OVER (
    PARTITION BY rivals.channel, rivals.day ORDER BY points DESC, firsts.ts DESC, item_id
  ) <= $fallback
)
"""
