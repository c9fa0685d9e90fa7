/** Addresses without their passwords, for messages, logs and listings. */

/** An address as it may be shown: without its password. Text that is no URL is answered as `<address>`. */
export function redactUrl(address: string): string {
  try {
    const url = new URL(address)
    if (url.password !== '') url.password = '***'
    return url.toString()
  } catch {
    return '<address>'
  }
}
