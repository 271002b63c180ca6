CREATE TABLE steps (                    -- modality performed procedure steps (PS3.4 annex F)
  id            INTEGER PRIMARY KEY,
  sop_uid       TEXT NOT NULL UNIQUE,
  calling_ae    TEXT NOT NULL,
  peer_address  TEXT NOT NULL,
  state         TEXT NOT NULL,          -- in_progress | completed | discontinued
  begun_utc     TEXT NOT NULL,
  ended_utc     TEXT
);

CREATE TABLE step_messages (            -- the data sets as received
  id               INTEGER PRIMARY KEY,
  step_id          INTEGER NOT NULL REFERENCES steps(id) ON DELETE CASCADE,
  utc              TEXT NOT NULL,
  operation        TEXT NOT NULL,       -- create | set
  transfer_syntax  TEXT NOT NULL,
  bytes            BLOB NOT NULL
);
CREATE INDEX step_messages_step ON step_messages(step_id);

CREATE TABLE step_studies (             -- one for each scheduled step that was performed with it
  step_id    INTEGER NOT NULL REFERENCES steps(id) ON DELETE CASCADE,
  study_uid  TEXT NOT NULL,
  PRIMARY KEY (step_id, study_uid)
) WITHOUT ROWID;
CREATE INDEX step_studies_study ON step_studies(study_uid);

CREATE TABLE step_series (              -- what the newest message says that was made
  step_id     INTEGER NOT NULL REFERENCES steps(id) ON DELETE CASCADE,
  series_uid  TEXT NOT NULL,
  PRIMARY KEY (step_id, series_uid)
) WITHOUT ROWID;
CREATE INDEX step_series_series ON step_series(series_uid);

CREATE TABLE step_instances (
  step_id     INTEGER NOT NULL REFERENCES steps(id) ON DELETE CASCADE,
  series_uid  TEXT NOT NULL,
  sop_uid     TEXT NOT NULL,
  PRIMARY KEY (step_id, series_uid, sop_uid)
) WITHOUT ROWID;
CREATE INDEX step_instances_series ON step_instances(series_uid);

-- A step names series without their study.
CREATE INDEX series_uid ON series(series_uid);
