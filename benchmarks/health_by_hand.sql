-- The same figures as dnr gives for fact_card_transaction, as an expert would write them by hand for
-- DuckDB: {folder} is the warehouse, {offset} the zone's offset as a CASE on the second `e`, {window} the
-- first day of the window, {last} the last day of the report, both as days since 1970.

-- name: times
SELECT min(event_time), max(event_time), min(loaded_at), max(loaded_at)
FROM read_parquet('{folder}/fact_card_transaction/*.parquet');

-- name: cards
CREATE TEMP TABLE card AS
SELECT card_id, min(epoch_us(activated_at)) // 1000000 AS since
FROM read_parquet('{folder}/dim_card/*.parquet') WHERE card_id IS NOT NULL GROUP BY card_id;

-- name: merchants
CREATE TEMP TABLE merchant AS
SELECT DISTINCT merchant_id
FROM read_parquet('{folder}/dim_merchant/*.parquet') WHERE merchant_id IS NOT NULL;

-- name: days
-- By day and by what is wrong with a row, so that money on rows broken in two ways counts once.
SELECT day, marks, count(*) AS n, max(e) AS newest, sum(interchange), sum(gmv)
FROM (
  SELECT
    (e + {offset}) // 86400 AS day, e,
    (t.card_id IS NULL)::INT + 2 * (t.merchant_id IS NULL)::INT
      + 4 * (t.card_id IS NOT NULL AND c.card_id IS NULL)::INT
      + 8 * coalesce(c.since > e, false)::INT
      + 16 * (t.merchant_id IS NOT NULL AND m.merchant_id IS NULL)::INT
      + 32 * coalesce(l - e > 5400, false)::INT + 64 * coalesce(l < e, false)::INT
      + 128 * (l IS NOT NULL AND e IS NOT NULL)::INT AS marks,
    CASE WHEN auth_result = 'captured' THEN amount_cents * interchange_bps ELSE 0 END AS interchange,
    CASE WHEN auth_result = 'captured' THEN amount_cents ELSE 0 END AS gmv
  FROM (
    SELECT card_id, merchant_id, auth_result, amount_cents, interchange_bps,
      epoch_us(event_time) // 1000000 AS e, epoch_us(loaded_at) // 1000000 AS l
    FROM read_parquet('{folder}/fact_card_transaction/*.parquet')
  ) t
  LEFT JOIN card c ON t.card_id = c.card_id
  LEFT JOIN merchant m ON t.merchant_id = m.merchant_id
)
GROUP BY day, marks;

-- name: lag by day
SELECT (e + {offset}) // 86400 AS day, quantile_cont(l - e, [0.5, 0.95])
FROM (
  SELECT epoch_us(event_time) // 1000000 AS e, epoch_us(loaded_at) // 1000000 AS l
  FROM read_parquet('{folder}/fact_card_transaction/*.parquet')
)
WHERE l IS NOT NULL AND e IS NOT NULL AND day <= {last}
GROUP BY day;

-- name: lag of the whole
SELECT (e + {offset}) // 86400 >= {window} AS recent, l - e AS lag, count(*)
FROM (
  SELECT epoch_us(event_time) // 1000000 AS e, epoch_us(loaded_at) // 1000000 AS l
  FROM read_parquet('{folder}/fact_card_transaction/*.parquet')
)
WHERE l IS NOT NULL AND e IS NOT NULL AND (e + {offset}) // 86400 <= {last}
GROUP BY recent, lag;

-- name: loaded by hour
SELECT epoch_us(loaded_at) // 3600000000 AS hour, count(*)
FROM read_parquet('{folder}/fact_card_transaction/*.parquet')
WHERE loaded_at IS NOT NULL GROUP BY hour;

-- name: repeated
CREATE TEMP TABLE repeated AS
SELECT txn_id FROM read_parquet('{folder}/fact_card_transaction/*.parquet')
WHERE txn_id IS NOT NULL GROUP BY txn_id HAVING count(*) > 1;

-- name: copies
-- All rows of repeated keys but the first loaded, with what is wrong with them and their money.
SELECT day, marks, count(*), sum(interchange), sum(gmv)
FROM (
  SELECT (e + {offset}) // 86400 AS day,
    (card_id IS NULL)::INT + 2 * (merchant_id IS NULL)::INT + 4 * lost_card::INT + 8 * young::INT
      + 16 * lost_merchant::INT + 32 * (l - e > 5400)::INT AS marks,
    interchange, gmv,
    row_number() OVER (PARTITION BY txn_id ORDER BY l, e) AS place
  FROM (
    SELECT t.txn_id, t.card_id, t.merchant_id, e, l,
      t.card_id IS NOT NULL AND c.card_id IS NULL AS lost_card,
      coalesce(c.since > e, false) AS young,
      t.merchant_id IS NOT NULL AND m.merchant_id IS NULL AS lost_merchant,
      CASE WHEN auth_result = 'captured' THEN amount_cents * interchange_bps ELSE 0 END AS interchange,
      CASE WHEN auth_result = 'captured' THEN amount_cents ELSE 0 END AS gmv
    FROM (
      SELECT *, epoch_us(event_time) // 1000000 AS e, epoch_us(loaded_at) // 1000000 AS l
      FROM read_parquet('{folder}/fact_card_transaction/*.parquet')
      WHERE txn_id IN (SELECT txn_id FROM repeated)
    ) t
    LEFT JOIN card c ON t.card_id = c.card_id
    LEFT JOIN merchant m ON t.merchant_id = m.merchant_id
  )
)
WHERE place > 1
GROUP BY day, marks;
