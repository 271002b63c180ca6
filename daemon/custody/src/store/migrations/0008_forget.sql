-- Before the row of an instance is forgotten it is asked whether a job of a study task names it.
CREATE INDEX job_members_instance ON job_members(instance_id);
