/**
 * Public files of the app, also those of the builds before: while a rollout goes on, and for as long after it as their
 * builds are kept, a page of one build finds its scripts on a clone of any other. Types, ranges and conditional requests
 * are `@fastify/send`'s.
 */

import { existsSync, statSync } from 'node:fs'
import { join, normalize } from 'node:path'

import { createAssetFolders } from '../clones/build/assets.ts'

import type { IncomingMessage, ServerResponse } from 'node:http'

export interface ServeAssetsOptions {
  /** The folder of public files, as an absolute path: `join(import.meta.dirname, '../public')`. */
  readonly folder: string
  /** The part of the path before the file's. Default: `'/assets/'`. */
  readonly prefix?: string
  /**
   * Files whose content never changes under their name, because it has a hash in it: they are cached for a year.
   * Default: names with a part of 8 or more letters and digits, among them a digit, such as `app-B3f9xQ2k.js`.
   */
  readonly immutable?: RegExp
}

/** Answers a request if it is for a public file. */
export type AssetHandler = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

const hashedName = /[.-](?=[\w]*\d)[\w]{8,}\.[a-z\d]+$/i
const yearMs = 365 * 86_400_000

/**
 * Makes a handler that answers GET and HEAD for public files, and resolves with false, having done nothing, for all else.
 *
 * ```ts
 * const assets = serveAssets({ folder: join(import.meta.dirname, '../public') })
 * createServer(async (request, response) => (await assets(request, response)) || app(request, response))
 * ```
 */
export function serveAssets(options: ServeAssetsOptions): AssetHandler {
  const { folder, prefix = '/assets/', immutable = hashedName } = options
  const folders = createAssetFolders(folder)
  return async (request, response) => {
    const path = pathOf(request, prefix)
    if (path === null) return false
    const root = (await folders.list()).find((one) => isFile(one, path))
    if (root === undefined) return false
    const { default: send } = await import('@fastify/send')
    const isHashed = immutable.test(path)
    const found = await send(request, encodeURI(path), {
      root,
      index: false,
      dotfiles: 'ignore',
      maxAge: isHashed ? yearMs : 0,
      immutable: isHashed,
    })
    if (found.type === 'error' && found.statusCode === 404) return false
    response.writeHead(found.statusCode, found.headers)
    if (request.method === 'HEAD') {
      found.stream.destroy()
      response.end()
    } else {
      found.stream.once('error', () => response.destroy())
      response.once('close', () => found.stream.destroy())
      found.stream.pipe(response)
    }
    return true
  }
}

/** The file's path below the folder; null: this is no request for one. */
function pathOf({ method, url = '' }: IncomingMessage, prefix: string): string | null {
  if ((method !== 'GET' && method !== 'HEAD') || !url.startsWith(prefix)) return null
  const [encoded = ''] = url.slice(prefix.length).split(/[?#]/)
  try {
    const path = decodeURIComponent(encoded)
    const plain = normalize(`/${path}`) === `/${path}` && !path.includes('\0') && !path.includes('\\')
    return plain && path !== '' ? `/${path}` : null
  } catch {
    return null
  }
}

function isFile(root: string, path: string): boolean {
  const file = join(root, path)
  return existsSync(file) && statSync(file).isFile()
}
