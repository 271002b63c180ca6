-- What was seen of lesions, and what people entered about them. Lines are never changed nor removed: a correction is a new
-- line. They name studies but refer to no row, so they stay when studies are evicted.
CREATE TABLE lesion_lines (
  id       INTEGER PRIMARY KEY,   -- also the number of the sighting, lesion or recall that the line began
  utc      TEXT NOT NULL,
  by_whom  TEXT NOT NULL,         -- as typed; empty: this software
  patient  TEXT NOT NULL,         -- Patient ID in plain form: all lines of one person have the same
  kind     TEXT NOT NULL,
  source   TEXT NOT NULL,         -- of a sighting: what was analysed, a series or a task of a study; else empty
  entry    TEXT NOT NULL          -- models::lesion::entry::Entry as JSON
);
CREATE INDEX lesion_lines_patient ON lesion_lines(patient);
CREATE INDEX lesion_lines_source ON lesion_lines(source) WHERE source <> '';
CREATE INDEX lesion_lines_recalls ON lesion_lines(patient) WHERE kind = 'recall';
CREATE TRIGGER lesion_lines_stay BEFORE DELETE ON lesion_lines
  BEGIN SELECT RAISE(ABORT, 'lines of lesions are never removed'); END;
CREATE TRIGGER lesion_lines_hold BEFORE UPDATE ON lesion_lines
  BEGIN SELECT RAISE(ABORT, 'lines of lesions are never changed'); END;
