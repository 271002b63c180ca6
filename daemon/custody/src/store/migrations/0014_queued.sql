-- Jobs are never removed, so whoever asks what waits must not read them all.
CREATE INDEX jobs_queued ON jobs(priority, id) WHERE state = 'queued';
