/** How all jobs are done: for `defineApp`. */
import type { JobDefinition } from 'fourfold'
import { runExportArticles } from './export-articles.ts'

export const jobs: readonly JobDefinition[] = [runExportArticles]
