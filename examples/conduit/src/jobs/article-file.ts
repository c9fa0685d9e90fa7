/** An article as a Markdown file, with what is known of it at the top. */
import type { OwnArticle } from '../domain/downloads.ts'
import type { ZipEntry } from './zip.ts'

/** Names in other scripts take up to four bytes a letter, and 255 are what file systems take. */
const MAX_SLUG = 50

export function articleFile(article: OwnArticle): ZipEntry {
  const { id, slug, createdAt, updatedAt } = article
  // The number makes it unique; slugs hold nothing but letters, digits and dashes.
  const name = `${createdAt.toISOString().slice(0, 10)}-${id}-${[...slug].slice(0, MAX_SLUG).join('')}.md`
  return { name, text: textOf(article), changedAt: updatedAt }
}

/** Strings of JSON are strings of YAML. */
function textOf({ title, description, tags, createdAt, updatedAt, body }: OwnArticle): string {
  const head = {
    ...{ title, description, tags },
    ...{ created: createdAt.toISOString(), updated: updatedAt.toISOString() },
  }
  const lines = Object.entries(head).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return ['---', ...lines, '---', '', body, ''].join('\n')
}
