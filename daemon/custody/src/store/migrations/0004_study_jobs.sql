-- A task of a whole study works on images of several series. Its job is anchored at one of them (jobs.series_id and
-- version), so that every list of jobs, results and deliveries stays as it is.
ALTER TABLE jobs ADD COLUMN task TEXT;  -- NULL: the tasks of one series

CREATE TABLE job_members (              -- the images that a job of a study task works on
  job_id       INTEGER NOT NULL REFERENCES jobs(id),
  series_id    INTEGER NOT NULL REFERENCES series(id),
  version      INTEGER NOT NULL,        -- of that series
  instance_id  INTEGER NOT NULL REFERENCES instances(id),
  PRIMARY KEY (job_id, instance_id)
);
CREATE INDEX job_members_series ON job_members(series_id);
