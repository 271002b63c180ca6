CREATE TABLE shadows (               -- a candidate package beside the active one, on one job
  id            INTEGER PRIMARY KEY,
  job_id        INTEGER NOT NULL REFERENCES jobs(id),
  utc           TEXT NOT NULL,
  task          TEXT NOT NULL,
  active        TEXT NOT NULL,       -- id and version
  candidate     TEXT NOT NULL,
  active_ms     REAL NOT NULL,
  candidate_ms  REAL NOT NULL,
  differing     INTEGER NOT NULL,    -- findings that differ
  differences   TEXT NOT NULL,       -- model::compare::Compared of each finding as JSON; empty when it failed
  failure       TEXT                 -- of the candidate, in words
);
CREATE INDEX shadows_job ON shadows(job_id);
