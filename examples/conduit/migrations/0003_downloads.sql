-- Each user's newest archive of their own articles: who else may have its file, and since when it is kept.

CREATE TABLE downloads (
  user_id  integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  file     text NOT NULL,
  articles integer NOT NULL,
  made_at  timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX downloads_by_file ON downloads (file);
