/**
 * Requests of which it is proven that one of our balancers sent them, so that its word about the client counts, also
 * where clones and balancers are on different hosts and an address proves nothing.
 */

const mark = Symbol('fourfold.balanced')

/** To be called once the balancer's credential was checked. */
export function markBalanced(request: object): void {
  Object.defineProperty(request, mark, { value: true })
}

export function isBalanced(request: object): boolean {
  return (request as { [mark]?: boolean })[mark] === true
}
