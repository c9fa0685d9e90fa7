/**
 * Refuses forms that another site sends in a visitor's name. Browsers say where a request comes from, in
 * `Sec-Fetch-Site` or `Origin`; the session's SameSite=Lax cookie is the second guard, for those that say nothing.
 */
import type { FastifyRequest } from 'fastify'
import { Refusal } from '../refusal.ts'

const HARMLESS = new Set(['GET', 'HEAD', 'OPTIONS'])

export async function refuseOtherOrigins(request: FastifyRequest): Promise<void> {
  if (HARMLESS.has(request.method) || comesFromHere(request)) return
  throw new Refusal(403, { form: ['was sent from another site'] })
}

function comesFromHere({ headers, host }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  return headers.origin === undefined || hostOf(headers.origin) === host
}

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
