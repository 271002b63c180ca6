-- Every foreign key has an index that begins with it: without one, each row that is removed reads all of the table that refers to it,
-- while nobody else can write.
CREATE INDEX ask_items_delivery ON ask_items(delivery_id);
CREATE INDEX reviews_job ON reviews(job_id);
-- What a study has at its destinations.
CREATE INDEX results_study ON results(study_uid);
-- Objects that came again as those of another patient: what counts has a reason only then.
CREATE INDEX instances_of_another ON instances(study_uid) WHERE state = 'kept' AND reason IS NOT NULL;
-- Jobs are never removed, so whoever asks which are parked must not read them all.
CREATE INDEX jobs_parked ON jobs(id) WHERE state = 'parked';
