/** Sizes as people write them: `'8MiB'`, `'512KiB'`, `'1GB'`, or a number of bytes. Inside, names end in `Bytes`. */

import { FourfoldError } from './errors.ts'

const unitBytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/**
 * A size in bytes.
 *
 * @param value bytes, or text such as `'8MiB'` (1024 based) or `'8MB'` (1000 based)
 * @param path where the value stands, for the message
 * @throws FF_CORE_BYTES if the value is neither, negative, or not a whole number of bytes
 */
export function parseBytes(value: string | number, path?: string): number {
  const bytes = typeof value === 'number' ? value : readText(value)
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes
  const place = path === undefined ? '' : `${path}: `
  throw new FourfoldError(
    'FF_CORE_BYTES',
    `${place}expected a size such as "64KiB" or "8MiB", or a number of bytes; got ${JSON.stringify(value) ?? typeof value}`,
    { fields: { path, value } },
  )
}

/** The shortest exact way to write a size: `8388608` becomes `'8MiB'`. */
export function formatBytes(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const size = unitBytes[unit] ?? 1
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return `${bytes}B`
}

function readText(text: unknown): number {
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?)([KMG]i?B|B)$/.exec(text.trim()) : null
  return match === null ? Number.NaN : Number(match[1]) * (unitBytes[match[2] ?? ''] ?? Number.NaN)
}
