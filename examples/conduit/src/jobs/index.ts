/** How all jobs are done: for `defineApp`. */
import type { JobDefinition } from 'fourfold'
import { runDailyDigest, runSweepDownloads } from './daily-digest.ts'
import { runExportArticles } from './export-articles.ts'
import { runMakeThumbnail } from './make-thumbnail.ts'

export const jobs: readonly JobDefinition[] = [runExportArticles, runMakeThumbnail, runDailyDigest, runSweepDownloads]
