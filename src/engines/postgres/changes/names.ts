/** What the change stream's objects are called. */

export const publicationName = 'fourfold'

/** The tracker's connections; `synchronous_standby_names` must not have it. */
export const trackerApplicationName = 'fourfold-tracker'

/** Prefixes of messages in the log. */
export const ddlPrefix = 'fourfold:ddl'
export const beatPrefix = 'fourfold:beat'
export const touchPrefix = 'fourfold:touch'

const maxNameBytes = 63

/**
 * Slots belong to the whole server, so the database's own number stands in the name: two apps on one server may both
 * call their database `main`.
 *
 * @param name the app's name of the database
 * @param database the database's oid
 */
export function slotName(name: string, database: number): string {
  const tail = `_${database}`
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')
  return `fourfold_${plain}`.slice(0, maxNameBytes - tail.length) + tail
}
