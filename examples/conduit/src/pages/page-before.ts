/** The page that a visitor comes from, where that is one of ours. */
import type { FastifyRequest } from 'fastify'

/** The path of the page that a request was made on, if it is one of ours. */
export function pageBefore({ headers, host }: FastifyRequest): string | undefined {
  const before = headers.referer
  if (before === undefined || hostOf(before) !== host) return undefined
  const { pathname, search } = new URL(before)
  return pathname.replace(/^\/+/, '/') + search
}

function hostOf(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).host : undefined
}
