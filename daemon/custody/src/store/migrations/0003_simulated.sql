-- Whether a simulated device or accelerator had a part in a result. Such a result is 'held' at every destination that is
-- not marked for it (deliveries.state = 'held').
ALTER TABLE results ADD COLUMN simulated INTEGER NOT NULL DEFAULT 0;
