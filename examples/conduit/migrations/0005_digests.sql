-- What was new on each day, counted the night after.

CREATE TABLE digests (
  day       date PRIMARY KEY,
  articles  integer NOT NULL,
  comments  integer NOT NULL,
  favorites integer NOT NULL
);

-- When those that are there already were given is not known.
ALTER TABLE favorites ADD COLUMN created_at timestamptz(3);
ALTER TABLE favorites ALTER COLUMN created_at SET DEFAULT now();
