/**
 * A statement's parameters as they are now. What is read by a key that its owner has changed meanwhile would be kept
 * under the key that it was asked by.
 */
export function ownParameters(values: readonly unknown[]): readonly unknown[] {
  return values.map(own)
}

function own(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(own)
  if (value instanceof Date) return new Date(value)
  return Buffer.isBuffer(value) ? Buffer.from(value) : value
}
