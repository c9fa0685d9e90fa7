/** All cached objects: for `defineApp`, which checks their names against each other. */
import type { ObjectDefinition } from 'fourfold'
import { articleCount, articlePage } from './article-lists.ts'
import { article, articleCard, articleIdAt, articleInFull, favoritesCount, favoritesOf, tagList } from './articles.ts'
import { commentsOn } from './comments.ts'
import { feedCount, feedPage } from './feeds.ts'
import { account, followedBy, profile, userIdNamed } from './people.ts'
import { tagIdNamed, tagName } from './tags.ts'

export const objects: readonly ObjectDefinition[] = [
  ...[account, profile, userIdNamed, followedBy],
  ...[article, articleCard, articleIdAt, articleInFull, tagList, favoritesCount, favoritesOf],
  ...[articlePage, articleCount, feedPage, feedCount, commentsOn, tagName, tagIdNamed],
]
