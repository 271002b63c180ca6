-- In which segment of the custody log the record of a large instance lies: without it a rebuild from the log would not know the
-- file. NULL for those of before, and for those that were found without a record.
ALTER TABLE instances ADD COLUMN record_segment INTEGER;
CREATE INDEX instances_record ON instances(record_segment) WHERE record_segment IS NOT NULL;
CREATE INDEX instances_file ON instances(file) WHERE file IS NOT NULL;
