/** What is ordered: what goes into each job, and what comes of it. How they are done is in the other files. */
import { z } from 'zod'
import { defineJob } from '../objects/define.ts'

const id = z.int().positive()

/** All articles of a user as an archive. Ordered twice while it is made, it is made once. */
export const exportArticles = defineJob({
  name: 'export-articles',
  input: z.object({ userId: id }),
  output: z.object({ file: z.string(), articles: z.number() }),
  unique: ({ userId }) => userId,
  retry: 3,
})

/** The small square of a user's picture. A picture that needs too much memory ends its thread, and will again. */
export const makeThumbnail = defineJob({
  name: 'make-thumbnail',
  input: z.object({ userId: id, image: z.string() }),
  output: z.object({ thumbnail: z.string().nullable() }),
  thread: true,
  timeout: '1m',
  retry: 1,
})

/** What was new on the day before. In the dead of night, once, however many workers there are. */
export const dailyDigest = defineJob({
  name: 'daily-digest',
  input: z.object({}),
  output: z.object({ day: z.string(), articles: z.number(), comments: z.number(), favorites: z.number() }),
  schedule: { cron: '0 3 * * *', timeZone: 'UTC' },
})

/** Nobody counts who refers to a file: what is kept for a while is thrown away by who kept it. */
export const sweepDownloads = defineJob({
  name: 'sweep-downloads',
  input: z.object({}),
  schedule: { cron: '30 3 * * *', timeZone: 'UTC' },
})
