-- Who sent a series that was fetched, too (an AE title), until its results are queued for delivery: then the row goes, and the series is
-- like any other.
ALTER TABLE fetched_series ADD COLUMN sent_by TEXT;
-- 0: nobody knows any more whether somebody has sent it, too (the database was built again): its results are delivered.
ALTER TABLE fetched_series ADD COLUMN stays INTEGER NOT NULL DEFAULT 1;
CREATE INDEX fetched_series_sent ON fetched_series(study_uid) WHERE sent_by IS NOT NULL;
-- The newest job when the archive was asked: a rerun that is newer asks again, once, whatever the clock says.
ALTER TABLE prior_questions ADD COLUMN newest_job INTEGER NOT NULL DEFAULT 0;
