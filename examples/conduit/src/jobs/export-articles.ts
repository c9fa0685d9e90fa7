/**
 * Somebody's articles as a ZIP archive, read in batches, packed one by one and handed on while they are: the worker never
 * holds more than a batch. The same articles make the same bytes, so an attempt that follows one that died makes the same file.
 */
import { isFourfoldError, JobFailure } from 'fourfold'
import { countOwnArticles, type Download, isKept, keepDownload, ownArticles } from '../domain/downloads.ts'
import { MAX_DOWNLOAD_BYTES } from '../limits.ts'
import type { Executor } from '../schema.ts'
import { exportArticles } from './contracts.ts'
import { articleFile } from './article-file.ts'
import { zip } from './zip.ts'

export const runExportArticles = exportArticles.handle(
  async ({ input: { userId }, databases: { main }, files, progress, signal }) => {
    const total = await countOwnArticles(main, userId)
    let articles = 0
    const packing = async function* () {
      for await (const article of ownArticles(main, userId)) {
        signal.throwIfAborted()
        yield articleFile(article)
        articles += 1
        // Some may have been written meanwhile. What is left at the end is to keep the file.
        progress(articles / (Math.max(total, articles) + 1), `${articles} of ${Math.max(total, articles)} articles`)
      }
    }
    progress(0, `0 of ${total} articles`)
    // Without the signal, which the articles heed: of what was given up while it was being named, nobody would know the name.
    const stored = await files
      .put(zip(packing()), { maxBytes: MAX_DOWNLOAD_BYTES, accept: ['application/zip'] })
      .catch(explainSize)
    try {
      const replaced = await keepUnless(signal, main, userId, { file: stored.name, articles })
      if (replaced !== null) await files.remove(replaced)
      return { file: stored.name, articles }
    } catch (error) {
      // After any other end another attempt makes the same file, maybe at this moment.
      const isLast = isFourfoldError(signal.reason, 'FF_JOB_CANCELLED')
      if (isLast && !(await isKept(main, stored.name))) await files.remove(stored.name)
      throw error
    }
  },
)

/** As `keepDownload`; an attempt that was given up meanwhile changes nothing. */
function keepUnless(
  aborted: AbortSignal,
  db: Executor,
  userId: number,
  made: Pick<Download, 'file' | 'articles'>,
): Promise<string | null> {
  return db.transaction().execute(async (trx) => {
    const replaced = await keepDownload(trx, userId, made)
    aborted.throwIfAborted()
    return replaced
  })
}

/** No further attempt would make it smaller. */
function explainSize(error: unknown): never {
  if (!isFourfoldError(error, 'FF_FILES_TOO_LARGE')) throw error
  throw new JobFailure(`These are more articles than fit into ${MAX_DOWNLOAD_BYTES / 1024 ** 2} MiB`)
}
