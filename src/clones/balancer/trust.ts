/** Which peers are proxies of ours, whose forwarding headers are believed. */

import { BlockList, isIP } from 'node:net'
import { FourfoldError } from '../../core/errors.ts'

export type Trust = (address: string) => boolean

/** @throws FF_CONFIG_INVALID if an entry is neither an address nor a CIDR range */
export function createTrust(entries: readonly string[]): Trust {
  const list = new BlockList()
  for (const [index, entry] of entries.entries()) addEntry(list, entry, index)
  if (entries.length === 0) return () => false
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** Whether an entry is an IP address, or a range of them such as `10.0.0.0/8`. */
export function isAddressOrRange(entry: string): boolean {
  return parseEntry(entry) !== null
}

/** The address as it is written everywhere: IPv4 in IPv6 clothes (`::ffff:10.0.0.1`) is IPv4. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address
}

function addEntry(list: BlockList, entry: string, index: number): void {
  const parsed = parseEntry(entry)
  if (parsed === null) {
    const path = `balancer.trustProxy[${index}]`
    const message = `${path}: expected an IP address or a range such as "10.0.0.0/8"; got ${JSON.stringify(entry)}`
    throw new FourfoldError('FF_CONFIG_INVALID', message, { fields: { problems: [{ path, message }] } })
  }
  list.addSubnet(parsed.address, parsed.prefix, parsed.family)
}

function parseEntry(entry: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | null {
  const [address = '', bits, ...rest] = entry.split('/')
  const family = isIP(address)
  const most = family === 6 ? 128 : 32
  const prefix = bits === undefined ? most : Number(bits)
  const valid =
    family !== 0 && rest.length === 0 && bits !== '' && Number.isInteger(prefix) && prefix >= 0 && prefix <= most
  return valid ? { address, prefix, family: family === 6 ? 'ipv6' : 'ipv4' } : null
}
