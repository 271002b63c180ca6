-- More reasons to set an instance aside (instances.state): 'damaged', its bytes are no longer those that were received;
-- 'replaced', a person has decided that another content of the same object counts.
DROP INDEX instances_set_aside;
CREATE INDEX instances_set_aside ON instances(id) WHERE state IN ('quarantined', 'conflict', 'damaged', 'replaced');

-- Retention asks for the results of each evicted job while receiving waits.
CREATE INDEX results_job ON results(job_id);

CREATE TABLE progress (                 -- how far work has come that goes on for days
  name   TEXT PRIMARY KEY,
  value  INTEGER NOT NULL
);
