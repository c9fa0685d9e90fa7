-- The small square of a user's picture, made a moment after the picture came: null until then, and for pictures elsewhere.

ALTER TABLE users ADD COLUMN thumbnail text;
