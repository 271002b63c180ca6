-- A step may be that of an analysis, not of an exam: of this job. Then recording_uid names the analysis.
ALTER TABLE own_steps ADD COLUMN job_id INTEGER;
