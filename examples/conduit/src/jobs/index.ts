/** How all jobs are done: for `defineApp`. */
import type { JobDefinition } from 'fourfold'
import { runExportArticles } from './export-articles.ts'
import { runMakeThumbnail } from './make-thumbnail.ts'

export const jobs: readonly JobDefinition[] = [runExportArticles, runMakeThumbnail]
