/**
 * The files of `public/`, read once at start: they are part of the build, so every clone serves the same ones. An
 * address that carries the hash of the contents may be kept for ever; any other asks again.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { notFound } from '../refusal.ts'

interface PublicFile {
  readonly content: Buffer
  readonly hash: string
  readonly type: string
}

export interface Assets {
  /** The address of a file, with its hash; an error if there is no such file. */
  href(file: string): string
  register(pages: FastifyInstance): void
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** @param more texts that are served like files of the directory, by their names */
export async function loadAssets(directory: URL, more: Readonly<Record<string, string>> = {}): Promise<Assets> {
  const names = (await readdir(directory)).filter((name) => extname(name) in TYPES)
  const loaded = names.map(async (name) => [name, await loadFile(new URL(name, directory))] as const)
  const files = new Map(await Promise.all(loaded))
  for (const [name, text] of Object.entries(more)) files.set(name, fileOf(name, Buffer.from(text)))
  return {
    href: (name) => {
      const file = files.get(name)
      if (!file) throw new Error(`conduit: public/${name} does not exist`)
      return `/assets/${name}?v=${file.hash}`
    },
    register: (pages) => serveFiles(pages, files),
  }
}

async function loadFile(url: URL): Promise<PublicFile> {
  return fileOf(url.pathname, await readFile(url))
}

function fileOf(name: string, content: Buffer): PublicFile {
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 16)
  return { content, hash, type: TYPES[extname(name)] ?? 'application/octet-stream' }
}

function serveFiles(pages: FastifyInstance, files: ReadonlyMap<string, PublicFile>): void {
  pages.get<{ Params: { file: string }; Querystring: { v?: unknown } }>('/assets/:file', async (request, reply) => {
    const file = files.get(request.params.file)
    if (!file) throw notFound('route')
    const etag = `"${file.hash}"`
    const kept = request.query.v === file.hash ? 'public, max-age=31536000, immutable' : 'public, no-cache'
    reply.header('etag', etag).header('cache-control', kept)
    const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
    if (known?.includes(etag) || known?.includes('*')) return reply.status(304).send()
    return reply.type(file.type).send(file.content)
  })
}
