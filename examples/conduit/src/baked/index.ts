/** All pages that are baked: for `defineApp`. They are answered before the routes of the same addresses. */
import type { PageDefinition } from 'fourfold'
import { article } from './article.ts'
import { home, profile, profileFavorites, tag } from './lists.ts'
import { feed, sitemap } from './xml.ts'

export const pages: readonly PageDefinition[] = [home, tag, article, profile, profileFavorites, feed, sitemap]
