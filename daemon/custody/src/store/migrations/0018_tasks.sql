-- A step may be that of an analysis, not of an exam: of this job. Then recording_uid names the analysis.
ALTER TABLE own_steps ADD COLUMN job_id INTEGER;

-- Tasks that a manager schedules for this box and that it performs (Unified Procedure Steps, PS3.4 annex CC).
CREATE TABLE ups_tasks (
  id               INTEGER PRIMARY KEY,
  sop_uid          TEXT NOT NULL UNIQUE,   -- of the Unified Procedure Step: none is claimed twice
  transaction_uid  TEXT NOT NULL,          -- of our claim; chosen before the manager hears of it
  study_uid        TEXT NOT NULL,
  task             TEXT NOT NULL,          -- what the manager says of it, as JSON; it names the patient
  state            TEXT NOT NULL DEFAULT 'claiming' CHECK (state IN ('claiming', 'working', 'ending', 'closed')),
  until_utc        TEXT NOT NULL,          -- so long its input is waited for
  started_utc      TEXT NOT NULL DEFAULT '',
  progress         INTEGER NOT NULL DEFAULT 0,
  ended            TEXT,                   -- what came of it, as JSON; written once, before it is told
  attempts         INTEGER NOT NULL DEFAULT 0,
  reason           TEXT,
  created_utc      TEXT NOT NULL,
  closed_utc       TEXT
);
CREATE INDEX ups_tasks_open ON ups_tasks(id) WHERE state <> 'closed';

-- Notices that results are available at an archive (Instance Availability Notification, PS3.4 annex R).
CREATE TABLE notices (
  id         INTEGER PRIMARY KEY,
  receiver   TEXT NOT NULL,           -- its name in the configuration
  job_id     INTEGER NOT NULL,
  study_uid  TEXT NOT NULL,
  sop_uid    TEXT NOT NULL,           -- chosen before the receiver hears of it
  said       TEXT NOT NULL,           -- what the N-CREATE says, as JSON
  state      TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'told', 'parked')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  next_utc   TEXT NOT NULL,
  reason     TEXT,
  UNIQUE (receiver, job_id)
);
CREATE INDEX notices_waiting ON notices(receiver, id) WHERE state = 'waiting';
-- Of which analyses a receiver is told: those after the one that was the last when it was entered.
CREATE TABLE notice_receivers (
  receiver   TEXT PRIMARY KEY,
  after_job  INTEGER NOT NULL
);
