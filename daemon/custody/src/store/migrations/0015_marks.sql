-- The marks in mammograms, or the lesions in ultrasound images, that a person decides about, as JSON (`models::review::marks`). Apart
-- from `findings`, which are those of a chest CT and compared with later ones.
ALTER TABLE jobs ADD COLUMN marks TEXT;
