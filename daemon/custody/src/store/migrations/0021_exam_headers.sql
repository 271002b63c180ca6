-- Patient and study of a series that has no instances, as the header of one: of an exam that was recorded here. NULL for others.
ALTER TABLE series ADD COLUMN header TEXT;
