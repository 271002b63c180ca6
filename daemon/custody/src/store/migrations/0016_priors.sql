-- The question to an archive for an earlier study of a person: one for each new study that could be compared (`store::priors`).
CREATE TABLE prior_questions (
    study_uid TEXT PRIMARY KEY,
    -- The series that is to be compared.
    series_uid TEXT NOT NULL,
    -- asking, reading (the prior is here and is read first), closed.
    state TEXT NOT NULL,
    -- The new study waits no longer than this.
    until_utc TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- What went wrong last; when closed what became of it, in plain words.
    reason TEXT NOT NULL DEFAULT '',
    -- 1: a person should know that there is no comparison, and why.
    trouble INTEGER NOT NULL DEFAULT 0,
    prior_study_uid TEXT,
    prior_series_uid TEXT,
    created_utc TEXT NOT NULL,
    closed_utc TEXT
);
CREATE INDEX prior_questions_open ON prior_questions(created_utc) WHERE state <> 'closed';
-- Series that this box fetched by itself. Their results stay here, unless asked for otherwise.
CREATE TABLE fetched_series (
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    -- 0: it did not come to its end, so nothing is compared with it.
    whole INTEGER NOT NULL DEFAULT 0,
    -- How many images were fetched; NULL while they are. When more come, somebody else has sent the series, and it is like any other.
    images INTEGER,
    begun_utc TEXT NOT NULL,
    PRIMARY KEY (study_uid, series_uid)
) WITHOUT ROWID;
