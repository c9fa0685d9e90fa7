-- A tag's articles, newest first, from one table: when an article was written never changes, so a copy of it stands
-- beside each of its tags. Sorting by the articles' own column would read all articles of a tag for each page, and
-- a cached page would be over with every change of any article.

ALTER TABLE article_tags ADD COLUMN article_created_at timestamptz(3);
UPDATE article_tags SET article_created_at = articles.created_at FROM articles WHERE articles.id = article_tags.article_id;
ALTER TABLE article_tags ALTER COLUMN article_created_at SET NOT NULL;

CREATE INDEX article_tags_newest ON article_tags (tag_id, article_created_at DESC, article_id DESC);
DROP INDEX article_tags_by_tag;
