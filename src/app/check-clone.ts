/** Asks a clone for the paths that it must be able to answer before it gets requests. */

import { request } from 'node:http'

import { FourfoldError } from '../core/errors.ts'

import type { ResolvedConfig } from './config.ts'
import type { Member } from '../clones/slot.ts'

/** @throws FF_ROLLOUT_FAILED when an answer is a 5xx, does not come in time, or does not come at all */
export async function checkClone(
  { id, address }: Pick<Member, 'id' | 'address'>,
  { check, checkTimeoutMs }: Pick<ResolvedConfig['rollout'], 'check' | 'checkTimeoutMs'>,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const path of check) {
    const within = AbortSignal.any([signal, AbortSignal.timeout(checkTimeoutMs)])
    const asked = ask(address, path ?? '/', within, headers)
    const status = await asked.catch((error: Error) => fail(id, path, error.message, error))
    if (status >= 500) fail(id, path, `status ${status}`)
  }
}

function ask(
  address: Member['address'],
  path: string,
  signal: AbortSignal,
  more: Readonly<Record<string, string>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const where = address === undefined ? {} : 'path' in address ? { socketPath: address.path } : address
    const headers = { host: 'fourfold-check', 'user-agent': 'fourfold-check', ...more }
    const asking = request({ ...where, path, headers, agent: false, signal }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0)).once('error', reject)
    })
    asking.once('error', reject)
    asking.end()
  })
}

function fail(id: string, path: string | undefined, what: string, cause?: unknown): never {
  throw new FourfoldError('FF_ROLLOUT_FAILED', `${id} did not answer ${path} as rollout.check asks: ${what}`, { cause })
}
