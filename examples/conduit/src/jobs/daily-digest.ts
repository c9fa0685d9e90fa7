/** Each night: what was new on the day before, and archives that nobody came for are thrown away. */
import { forgetOldDownloads } from '../domain/downloads.ts'
import { countYesterday } from '../domain/digests.ts'
import { dailyDigest, sweepDownloads } from './contracts.ts'

export const runDailyDigest = dailyDigest.handle(({ databases: { main } }) => countYesterday(main))

export const runSweepDownloads = sweepDownloads.handle(async ({ databases: { main }, files, log }) => {
  const old = await forgetOldDownloads(main)
  for (const file of old) await files.remove(file)
  log.info({ files: old.length }, 'archives that were kept for long enough were thrown away')
})
