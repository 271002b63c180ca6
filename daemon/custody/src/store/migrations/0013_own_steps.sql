-- Performed procedure steps of the box's own exams, of which a manager is told (PS3.4 annex F, the box as SCU). What a message
-- says is written once and never changed; only what was told moves on.
CREATE TABLE own_steps (
  id             INTEGER PRIMARY KEY,   -- the order in which they are told
  recording_uid  TEXT NOT NULL UNIQUE,  -- one step for one exam
  sop_uid        TEXT NOT NULL UNIQUE,  -- chosen before the manager hears of it
  study_uid      TEXT NOT NULL,
  begun          TEXT NOT NULL,         -- what N-CREATE says, as JSON; it names the patient
  ended          TEXT,                  -- what N-SET says, as JSON; NULL until the exam has its results
  told           TEXT NOT NULL DEFAULT 'nothing' CHECK (told IN ('nothing', 'begun', 'ended')),
  parked         INTEGER NOT NULL DEFAULT 0,   -- refused for good: tried again after the next start
  attempts       INTEGER NOT NULL DEFAULT 0,   -- refusals since the manager last took something
  forgotten      INTEGER NOT NULL DEFAULT 0,   -- how often the manager did not know a step that it had taken
  next_utc       TEXT NOT NULL,
  reason         TEXT,                  -- why it was not told, as the manager or the box said it
  created_utc    TEXT NOT NULL,
  told_utc       TEXT
);
CREATE INDEX own_steps_open ON own_steps(id) WHERE told <> 'ended';
