/**
 * The address of a client, for limits. Behind the balancer it is the last one of X-Forwarded-For that is no proxy of
 * ours, and never one further left, which clients write as they like; anybody else's X-Forwarded-For is not believed. Of
 * IPv6 the first 64 bits count, since a subscriber has them all.
 */

import { isIP } from 'node:net'
import { plainAddress, type Trust } from '../../clones/balancer/trust.ts'
import { isFromBalancer, type RawRequest } from '../secure.ts'

/** Null: it cannot be told, as on a Unix socket. */
export function clientAddress(raw: RawRequest, trust: Trust): string | null {
  const forwarded = isFromBalancer(raw) ? String(raw.headers['x-forwarded-for'] ?? '') : ''
  const path = forwarded.split(',').map((entry) => plainAddress(withoutPort(entry.trim())))
  const last = path.findLast((address) => isIP(address) === 0 || !trust(address)) ?? ''
  const client = isIP(last) === 0 ? raw.socket?.remoteAddress : last
  return client === undefined ? null : network(plainAddress(client))
}

/** Some proxies note the port, too. */
function withoutPort(entry: string): string {
  return /^(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?$/.exec(entry)?.slice(1).find(Boolean) ?? entry
}

function network(address: string): string {
  if (isIP(address) !== 6) return address
  const [plain = ''] = address.split('%')
  const [head = '', tail] = plain.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail ?? '')]
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
