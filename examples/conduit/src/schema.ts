/** The tables of `migrations/`, as Kysely sees them. */
import type { Generated, Kysely } from 'kysely'

export interface Schema {
  users: UsersTable
  follows: FollowsTable
  articles: ArticlesTable
  tags: TagsTable
  article_tags: ArticleTagsTable
  favorites: FavoritesTable
  comments: CommentsTable
  downloads: DownloadsTable
  digests: DigestsTable
}

/** What the domain's functions run on: the request's own database, or a transaction. */
export type Executor = Kysely<Schema>

interface UsersTable {
  id: Generated<number>
  username: string
  email: string
  password_hash: string
  bio: string | null
  image: string | null
  thumbnail: string | null
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

interface FollowsTable {
  follower_id: number
  followed_id: number
}

interface ArticlesTable {
  id: Generated<number>
  slug: string
  title: string
  description: string
  body: string
  author_id: number
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

interface TagsTable {
  id: Generated<number>
  name: string
}

interface ArticleTagsTable {
  article_id: number
  tag_id: number
  position: number
  /** A copy of the article's, which never changes. */
  article_created_at: Date
}

interface FavoritesTable {
  article_id: number
  user_id: number
  /** Null: before it was kept. */
  created_at: Generated<Date | null>
}

interface CommentsTable {
  id: Generated<number>
  article_id: number
  author_id: number
  body: string
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

interface DownloadsTable {
  user_id: number
  file: string
  articles: number
  made_at: Generated<Date>
}

interface DigestsTable {
  day: string
  articles: number
  comments: number
  favorites: number
}
