-- One row per thing that must survive a power cut. Times are UTC, RFC 3339. UIDs are text as received, trimmed.

CREATE TABLE segments (              -- custody log files
  id          INTEGER PRIMARY KEY,
  indexed_to  INTEGER NOT NULL,      -- bytes of the segment whose records have rows
  sealed      INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE instances (
  id             INTEGER PRIMARY KEY,
  sop_uid        TEXT NOT NULL,
  sop_class      TEXT NOT NULL,
  study_uid      TEXT NOT NULL,
  series_uid     TEXT NOT NULL,
  segment        INTEGER,            -- NULL: the instance has a file of its own, spool/large/<id of record>.dcm
  file           TEXT,               -- our own name below the spool directory
  offset         INTEGER NOT NULL,   -- of the Part 10 bytes in segment or file
  length         INTEGER NOT NULL,
  sha256         TEXT NOT NULL,      -- of the data set bytes as received
  state          TEXT NOT NULL,      -- kept | conflict | quarantined | evicted
  reason         TEXT,
  received_utc   TEXT NOT NULL,
  calling_ae     TEXT NOT NULL,
  called_ae      TEXT NOT NULL,
  peer_address   TEXT NOT NULL,
  association    INTEGER NOT NULL,   -- number of the association since start
  header         TEXT NOT NULL       -- dicom::header::Header as JSON
);
CREATE INDEX instances_sop    ON instances(sop_uid);
CREATE INDEX instances_series ON instances(series_uid, study_uid);
CREATE INDEX instances_segment ON instances(segment);
CREATE INDEX instances_set_aside ON instances(id) WHERE state IN ('quarantined', 'conflict');

CREATE TABLE series (
  id              INTEGER PRIMARY KEY,
  study_uid       TEXT NOT NULL,
  series_uid      TEXT NOT NULL,
  modality        TEXT NOT NULL,
  kind            TEXT NOT NULL,     -- series::select::Kind
  state           TEXT NOT NULL,     -- receiving | complete | processed | refused | evicted
  verdict         TEXT,              -- in plain words
  version         INTEGER NOT NULL DEFAULT 0,  -- counts completions; a late slice makes a new one
  completed_by    TEXT,              -- quiet | released | declared_count
  instance_count  INTEGER NOT NULL DEFAULT 0,
  first_utc       TEXT NOT NULL,
  last_utc        TEXT NOT NULL,
  completed_utc   TEXT,
  UNIQUE (study_uid, series_uid)
);

CREATE TABLE jobs (
  id             INTEGER PRIMARY KEY,
  series_id      INTEGER NOT NULL REFERENCES series(id),
  version        INTEGER NOT NULL,
  priority       INTEGER NOT NULL DEFAULT 1,   -- 0 urgent, 1 normal, 2 background
  state          TEXT NOT NULL,      -- queued | running | done | parked | superseded
  attempts       INTEGER NOT NULL DEFAULT 0,
  interruptions  INTEGER NOT NULL DEFAULT 0,
  not_before_utc TEXT,
  reason         TEXT,               -- of the last failure
  created_utc    TEXT NOT NULL,
  started_utc    TEXT,
  finished_utc   TEXT,
  findings       TEXT,               -- models::Findings as JSON
  timings        TEXT,               -- [[stage, ms], ...]
  UNIQUE (series_id, version)
);

CREATE TABLE results (               -- DICOM objects we made
  id          INTEGER PRIMARY KEY,
  job_id      INTEGER NOT NULL REFERENCES jobs(id),
  kind        TEXT NOT NULL,         -- sr | seg | sc
  sop_class   TEXT NOT NULL,
  sop_uid     TEXT NOT NULL UNIQUE,
  study_uid   TEXT NOT NULL,
  series_uid  TEXT NOT NULL,
  file        TEXT NOT NULL,         -- below the spool directory
  length      INTEGER NOT NULL,
  sha256      TEXT NOT NULL
);

CREATE TABLE deliveries (            -- one result to one destination
  id             INTEGER PRIMARY KEY,
  result_id      INTEGER NOT NULL REFERENCES results(id),
  destination    TEXT NOT NULL,
  state          TEXT NOT NULL,      -- pending | delivered | superseded
  attempts       INTEGER NOT NULL DEFAULT 0,
  next_utc       TEXT NOT NULL,
  reason         TEXT,               -- of the last failure
  status         INTEGER,            -- DIMSE status of the last answer
  delivered_utc  TEXT,
  UNIQUE (result_id, destination)
);
CREATE INDEX deliveries_pending ON deliveries(destination, state, id);

CREATE TABLE events (                -- what happened and why, for people
  id       INTEGER PRIMARY KEY,
  utc      TEXT NOT NULL,
  subject  TEXT NOT NULL,            -- series/12, instance/7, destination/pacs, ...
  what     TEXT NOT NULL,
  detail   TEXT NOT NULL DEFAULT ''
);
