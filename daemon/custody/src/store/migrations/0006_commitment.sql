CREATE TABLE commitments (              -- storage commitment that peers asked of us (PS3.4 annex J)
  id               INTEGER PRIMARY KEY,
  transaction_uid  TEXT NOT NULL,
  calling_ae       TEXT NOT NULL,
  called_ae        TEXT NOT NULL,
  peer_address     TEXT NOT NULL,
  asked_utc        TEXT NOT NULL,
  state            TEXT NOT NULL,       -- pending | reported | given_up
  attempts         INTEGER NOT NULL DEFAULT 0,
  next_utc         TEXT NOT NULL,
  waited           INTEGER NOT NULL DEFAULT 0,  -- for objects that were not here yet
  reason           TEXT,                -- why the last attempt to report failed
  failed           INTEGER,             -- objects that the report said we do not keep
  ended_utc        TEXT,
  UNIQUE (calling_ae, transaction_uid)
);
CREATE INDEX commitments_pending ON commitments(next_utc) WHERE state = 'pending';

CREATE TABLE commitment_items (         -- the objects of one transaction, in the peer's order
  commitment_id  INTEGER NOT NULL REFERENCES commitments(id) ON DELETE CASCADE,
  position       INTEGER NOT NULL,
  sop_class      TEXT NOT NULL,
  sop_uid        TEXT NOT NULL,
  PRIMARY KEY (commitment_id, position)
) WITHOUT ROWID;

-- What an archive said of a result that it took: NULL, nobody asks it; 'wanted', it is to be asked; 'asked', its report is
-- awaited; 'committed', it keeps the object; 'unanswered', it was asked often enough.
ALTER TABLE deliveries ADD COLUMN commitment TEXT;
ALTER TABLE deliveries ADD COLUMN ask_utc TEXT;                          -- when it is to be asked, or asked again
ALTER TABLE deliveries ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;      -- how often it was
ALTER TABLE deliveries ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;   -- reports that said it is not kept
CREATE INDEX deliveries_uncommitted ON deliveries(destination, commitment) WHERE commitment IN ('wanted', 'asked');

CREATE TABLE asks (                     -- storage commitment that we asked of an archive
  id               INTEGER PRIMARY KEY,
  transaction_uid  TEXT NOT NULL UNIQUE,
  destination      TEXT NOT NULL,
  asked_utc        TEXT NOT NULL,
  answered_utc     TEXT
);
CREATE TABLE ask_items (
  ask_id       INTEGER NOT NULL REFERENCES asks(id) ON DELETE CASCADE,
  delivery_id  INTEGER NOT NULL REFERENCES deliveries(id) ON DELETE CASCADE,
  PRIMARY KEY (ask_id, delivery_id)
) WITHOUT ROWID;

CREATE TABLE archives (                 -- what is remembered of a destination
  destination  TEXT PRIMARY KEY,
  commitment   TEXT NOT NULL,           -- offered | refused
  utc          TEXT NOT NULL            -- since when
);
