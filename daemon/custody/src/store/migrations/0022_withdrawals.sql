-- A notice may also say that results are not available any more (Instance Availability UNAVAILABLE): it then withdraws what another
-- notice has said, and one analysis has several. SQLite cannot take a constraint off a table, so the rows move to a new one.
CREATE TABLE notices_and_withdrawals (
  id          INTEGER PRIMARY KEY,
  receiver    TEXT NOT NULL,           -- its name in the configuration
  job_id      INTEGER NOT NULL,
  study_uid   TEXT NOT NULL,
  sop_uid     TEXT NOT NULL,           -- chosen before the receiver hears of it
  said        TEXT NOT NULL,           -- what the N-CREATE says, as JSON; of one that was sent, all that it may have said
  state       TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'told', 'parked')),
  attempts    INTEGER NOT NULL DEFAULT 0,
  next_utc    TEXT NOT NULL,
  reason      TEXT,
  created_utc TEXT NOT NULL,
  sent        INTEGER NOT NULL DEFAULT 0,  -- 1 before the first message leaves: the receiver may have it from then on
  withdraws   INTEGER,                 -- the id of the notice of which something does not count any more
  rejected    INTEGER NOT NULL DEFAULT 0   -- how many results of the job were rejected when it was looked at last
);
INSERT INTO notices_and_withdrawals (id, receiver, job_id, study_uid, sop_uid, said, state, attempts, next_utc, reason, created_utc, sent)
  SELECT id, receiver, job_id, study_uid, sop_uid, said, state, attempts, next_utc, reason, next_utc,
         -- Those that were closed without being told say so.
         (state = 'told' AND coalesce(reason, '') NOT LIKE 'no archive with an AE title%'
                         AND coalesce(reason, '') NOT LIKE 'none of the results counts any more%')
         OR (state = 'waiting' AND attempts > 0)
  FROM notices;
DROP TABLE notices;
ALTER TABLE notices_and_withdrawals RENAME TO notices;
CREATE UNIQUE INDEX notices_of_job ON notices(receiver, job_id) WHERE withdraws IS NULL;
CREATE UNIQUE INDEX notices_withdrawals ON notices(receiver, sop_uid) WHERE withdraws IS NOT NULL;
CREATE INDEX notices_waiting ON notices(receiver, id) WHERE state = 'waiting';
