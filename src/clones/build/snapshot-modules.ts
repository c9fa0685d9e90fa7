/**
 * What a build's copy imports from outside of itself: packages, and files above the app's folder. Both are found from
 * where the original stands, as if it had been imported there.
 */

import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

import type { Build } from './snapshot.ts'

/** From now on this process finds what the build's modules import. Call the result to take that back. */
export function resolveFromOrigin({ folder, origin }: Pick<Build, 'folder' | 'origin'>): () => void {
  const here = pathToFileURL(`${folder}/`).href
  const there = pathToFileURL(`${origin}/`).href
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const { parentURL } = context
      if (parentURL === undefined || !parentURL.startsWith(here)) return next(specifier, context)
      const inside = isRelative(specifier) && new URL(specifier, parentURL).href.startsWith(here)
      if (inside || isPath(specifier)) return next(specifier, context)
      const original = there + parentURL.slice(here.length)
      return next(specifier, { ...context, parentURL: original })
    },
  })
  return () => hooks.deregister()
}

const isRelative = (specifier: string): boolean => /^\.\.?(?:\/|$)/.test(specifier)
const isPath = (specifier: string): boolean => /^(?:\/|file:|data:|node:)/.test(specifier)
