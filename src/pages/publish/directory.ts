/**
 * Pages as files of a directory, for nginx or any other static host.
 *
 * A file is written under a temporary name beside its place, synced, and renamed: a reader has the former file or the
 * new one, and after a power failure too. The compressed forms are files of their own, each whole; between two renames
 * they may be of two bakes.
 */

import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { fileNameFor, fileNamesFor } from './file-name.ts'
import { headerOf, isServable, type PageAddress, type PublishedPage, type Publisher } from './publisher.ts'

import type { PageDocument } from '../document.ts'

interface Form {
  /** Behind the name. */
  readonly ending: '' | '.gz' | '.br'
  /** Null where the page has none. */
  readonly bytes: Uint8Array | null
}

const temporary = /^\.ff-[\w-]+\.tmp$/
const endings = ['', '.gz', '.br'] as const

export interface DirectoryOptions {
  /** Temporary files of this age are of a worker that is gone. Default: 60,000: younger ones may be about to be renamed. */
  readonly leftoverAgeMs?: number
}

/** @param directory made when the first page is published; it belongs to Fourfold */
export function createDirectoryPublisher(
  directory: string,
  { leftoverAgeMs = 60_000 }: DirectoryOptions = {},
): Publisher {
  const root = resolve(directory)
  const nameOf = ({ url, document }: PublishedPage): string | null =>
    isServable(document) ? fileNameFor(url, headerOf(document, 'content-type')) : null

  const remove = async ({ url }: PageAddress, except: string | null = null): Promise<void> => {
    for (const name of fileNamesFor(url)) {
      if (name === except) continue
      // The plain one first: web servers look for it before they think of the others.
      for (const ending of endings) await removeFile(join(root, name + ending))
    }
  }

  return {
    id: `directory:${root}`,
    publish: async (page, signal) => {
      const name = nameOf(page)
      if (name !== null) await replace(join(root, name), page, signal)
      await remove(page, name)
    },
    remove: (address) => remove(address),
    holds: async (page) => {
      const name = nameOf(page)
      if (name === null) {
        const lies = await Promise.all(fileNamesFor(page.url).map((known) => sizeOf(join(root, known))))
        return lies.every((size) => size === null)
      }
      const sizes = await Promise.all(endings.map((ending) => sizeOf(join(root, name + ending))))
      const expected = [page.document.length, page.document.gzip?.length ?? null, page.document.br?.length ?? null]
      return sizes.every((size, at) => size === expected[at])
    },
    sweep: (signal) => sweep(root, Date.now() - leftoverAgeMs, signal),
    close: async () => undefined,
  }
}

async function replace(path: string, { document }: PublishedPage, signal: AbortSignal): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true })
  const second = await nextSecond(path, document.bakedAtMs)
  const forms = formsOf(document)
  const written = forms.flatMap((form) => (form.bytes === null ? [] : [{ ...form, temp: temporaryIn(folder) }]))
  try {
    await Promise.all(written.map(({ temp, bytes }) => write(temp, bytes!, second)))
    signal.throwIfAborted()
    // The plain one last: what is compressed is there by the time that web servers see the page.
    for (const { temp, ending } of written.toReversed()) await rename(temp, path + ending)
  } catch (error) {
    await Promise.all(written.map(({ temp }) => removeFile(temp).catch(() => undefined)))
    throw error
  }
  for (const { ending, bytes } of forms) if (bytes === null) await removeFile(path + ending)
}

function formsOf({ plain, gzip, br }: PageDocument): readonly [Form, Form, Form] {
  return [
    { ending: '', bytes: plain ?? gunzipSync(gzip!) },
    { ending: '.gz', bytes: gzip },
    { ending: '.br', bytes: br },
  ]
}

async function write(path: string, bytes: Uint8Array, second: number): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
  // By its name: Node takes changes of open files away from processes that may write to some folders only.
  await utimes(path, second, second)
}

/** Web servers tell bakes apart by size and second: no two bakes of a page have the same. */
async function nextSecond(path: string, bakedAtMs: number): Promise<number> {
  const before = await stat(path).catch(nullIfAbsent)
  const second = Math.floor(bakedAtMs / 1000)
  return before === null ? second : Math.max(second, Math.floor(before.mtimeMs / 1000) + 1)
}

async function sizeOf(path: string): Promise<number | null> {
  return (await stat(path).catch(nullIfAbsent))?.size ?? null
}

async function removeFile(path: string): Promise<void> {
  await rm(path).catch(nullIfAbsent)
}

function temporaryIn(folder: string): string {
  return join(folder, `.ff-${randomBytes(9).toString('base64url')}.tmp`)
}

async function sweep(folder: string, beforeMs: number, signal: AbortSignal): Promise<number> {
  let removed = 0
  signal.throwIfAborted()
  for (const found of (await readdir(folder, { withFileTypes: true }).catch(nullIfAbsent)) ?? []) {
    const path = join(folder, found.name)
    if (found.isDirectory()) removed += await sweep(path, beforeMs, signal)
    else if (temporary.test(found.name) && ((await stat(path).catch(nullIfAbsent))?.ctimeMs ?? Infinity) < beforeMs) {
      await removeFile(path)
      removed += 1
    }
  }
  return removed
}

/** A page that was never written has no file, and one whose folder is another page's file has none either. */
function nullIfAbsent(error: unknown): null {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return null
  throw error
}
