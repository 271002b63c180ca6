CREATE TABLE reviews (                 -- findings of a series that a person decided about and signed
  id         INTEGER PRIMARY KEY,
  series_id  INTEGER NOT NULL REFERENCES series(id),
  version    INTEGER NOT NULL,         -- of the series: the job of this version applies it
  job_id     INTEGER NOT NULL REFERENCES jobs(id),  -- whose findings were decided about
  signed_utc TEXT NOT NULL,
  signed_by  TEXT NOT NULL,            -- as typed
  review     TEXT NOT NULL,            -- models::review::Review as JSON
  state      TEXT NOT NULL,            -- signed | applied | not_applied | replaced | lost
  reason     TEXT,                     -- of not_applied and lost
  UNIQUE (series_id, version)
);
