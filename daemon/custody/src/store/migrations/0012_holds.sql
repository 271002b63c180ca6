-- Holds: studies that people keep from eviction, and why. Lines are never changed nor removed: a release is a new line. They
-- name studies but refer to no row.
CREATE TABLE hold_lines (
  id        INTEGER PRIMARY KEY,
  utc       TEXT NOT NULL,
  by_whom   TEXT NOT NULL,        -- as the audit trail names callers
  study_uid TEXT NOT NULL,
  what      TEXT NOT NULL CHECK (what IN ('hold', 'release')),
  reason    TEXT NOT NULL         -- as typed; empty for a release
);
CREATE INDEX hold_lines_study ON hold_lines(study_uid, id);
CREATE TRIGGER hold_lines_stay BEFORE DELETE ON hold_lines
  BEGIN SELECT RAISE(ABORT, 'lines of holds are never removed'); END;
CREATE TRIGGER hold_lines_hold BEFORE UPDATE ON hold_lines
  BEGIN SELECT RAISE(ABORT, 'lines of holds are never changed'); END;
-- The last line of a study counts.
CREATE VIEW holds AS
  SELECT l.study_uid, l.utc, l.by_whom, l.reason FROM hold_lines l
  WHERE l.what = 'hold' AND NOT EXISTS (SELECT 1 FROM hold_lines n WHERE n.study_uid = l.study_uid AND n.id > l.id);
