-- What people decided about objects that were sent again with other content. Lines are never changed nor removed; they name contents
-- by their hash and refer to no row, since they come back before the rows do.
CREATE TABLE choices (
  id       INTEGER PRIMARY KEY,
  utc      TEXT NOT NULL,
  sop_uid  TEXT NOT NULL,
  counts   TEXT NOT NULL,        -- SHA-256 of the content that counts; empty when it was not here any more
  replaced TEXT NOT NULL         -- a JSON list: SHA-256 of those that do not
);
CREATE INDEX choices_object ON choices(sop_uid, id);
