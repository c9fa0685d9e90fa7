/** Slugs: a title as it stands in an address, in any script. */
import { randomInt } from 'node:crypto'

const MAX_LENGTH = 120

/** Addresses under `/api/articles/` that are not articles. */
const RESERVED = new Set(['feed'])

/** The slug a title asks for; others may have it already. */
export function slugOf(title: string): string {
  const slug = [
    ...title
      .normalize('NFKC')
      .toLowerCase()
      .replace(/['’]/gu, '')
      .replace(/[^\p{L}\p{M}\p{N}]+/gu, '-'),
  ]
    .slice(0, MAX_LENGTH)
    .join('')
    .replace(/^-+|-+$/gu, '')
  return slug === '' ? 'article' : slug
}

/** The slugs to try for a title, best first: the plain one, then some with a random ending. */
export function* slugCandidates(title: string): Generator<string> {
  const slug = slugOf(title)
  if (!RESERVED.has(slug)) yield slug
  for (let attempt = 0; attempt < 8; attempt++) yield `${slug}-${randomInt(36 ** 5, 36 ** 6).toString(36)}`
}
