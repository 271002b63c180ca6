-- Why a result does not count any more although it may be at an archive: code value of CID 7010; NULL: it counts.
ALTER TABLE results ADD COLUMN rejected TEXT;
CREATE INDEX results_rejected ON results(id) WHERE rejected IS NOT NULL;

CREATE TABLE rejections (               -- which rejection note tells a destination of it
  result_id    INTEGER NOT NULL REFERENCES results(id),
  destination  TEXT NOT NULL,
  note_id      INTEGER NOT NULL REFERENCES results(id),
  PRIMARY KEY (result_id, destination)
);
CREATE INDEX rejections_note ON rejections(note_id);
