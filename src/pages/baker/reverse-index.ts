/**
 * Which entries stand on what changed: from a key to the entries that have it, for millions of keys.
 *
 * A chained hash table in typed arrays: 20 bytes for each key of an entry, and 4 to 8 for the heads of the chains. A key is
 * 32 bits, so now and then an entry is named that has nothing to do with a change: whoever asks looks at it more closely.
 *
 * Chains are linked both ways: an entry is taken out in as many steps as it has keys, however many others share them (all
 * pages have the row with the site's name).
 */

const none = 0xffffffff
const firstNodes = 1024

export class ReverseIndex {
  /** By node: its key, its entry, its neighbours in the chain, the next of the same entry. */
  #keys = new Uint32Array(firstNodes)
  #entries = new Uint32Array(firstNodes)
  #next = new Uint32Array(firstNodes)
  #previous = new Uint32Array(firstNodes)
  #sibling = new Uint32Array(firstNodes)
  #heads: Uint32Array = new Uint32Array(firstNodes).fill(none)
  /** By entry: its first node. */
  #first: Uint32Array = new Uint32Array(firstNodes).fill(none)
  /** Nodes that are free, linked by `#sibling`. */
  #free = none
  #made = 0
  /** How many keys all entries have. */
  size = 0

  /** How much memory the tables take. */
  get bytes(): number {
    return 5 * this.#keys.byteLength + this.#heads.byteLength + this.#first.byteLength
  }

  /** @param entry a small number: there is a place for each number below the greatest */
  set(entry: number, keys: Iterable<number>): void {
    this.remove(entry)
    for (const key of new Set(keys)) this.#add(entry, key >>> 0)
  }

  remove(entry: number): void {
    for (let node = this.#first[entry] ?? none; node !== none;) {
      const sibling = this.#sibling[node]!
      this.#unlink(node)
      node = sibling
    }
    if (entry < this.#first.length) this.#first[entry] = none
  }

  /** Names each entry that has the key, and now and then another. The index must not be changed meanwhile. */
  visit(key: number, hear: (entry: number) => void): void {
    const wanted = key >>> 0
    for (let node = this.#heads[this.#place(wanted)]!; node !== none; node = this.#next[node]!) {
      if (this.#keys[node] === wanted) hear(this.#entries[node]!)
    }
  }

  #add(entry: number, key: number): void {
    const node = this.#take()
    if (entry >= this.#first.length) this.#first = grown(this.#first, entry + 1, none)
    this.#keys[node] = key
    this.#entries[node] = entry
    this.#sibling[node] = this.#first[entry]!
    this.#first[entry] = node
    this.size += 1
    this.#link(node)
  }

  #take(): number {
    const node = this.#free
    if (node !== none) {
      this.#free = this.#sibling[node]!
      return node
    }
    if (this.#made === this.#keys.length) this.#grow()
    this.#made += 1
    return this.#made - 1
  }

  #link(node: number): void {
    const place = this.#place(this.#keys[node]!)
    const head = this.#heads[place]!
    this.#next[node] = head
    this.#previous[node] = none
    if (head !== none) this.#previous[head] = node
    this.#heads[place] = node
  }

  #unlink(node: number): void {
    const next = this.#next[node]!
    const previous = this.#previous[node]!
    if (next !== none) this.#previous[next] = previous
    if (previous !== none) this.#next[previous] = next
    else this.#heads[this.#place(this.#keys[node]!)] = next
    this.#sibling[node] = this.#free
    this.#free = node
    this.size -= 1
  }

  /** By half, so that the largest copy is not much larger than what it holds; all nodes are in use then. */
  #grow(): void {
    const nodes = Math.ceil(this.#keys.length * 1.5)
    this.#keys = grown(this.#keys, nodes, 0)
    this.#entries = grown(this.#entries, nodes, 0)
    this.#next = grown(this.#next, nodes, none)
    this.#previous = grown(this.#previous, nodes, none)
    this.#sibling = grown(this.#sibling, nodes, none)
    if (nodes <= this.#heads.length) return
    this.#heads = new Uint32Array(this.#heads.length * 2).fill(none)
    for (let node = 0; node < this.#made; node += 1) this.#link(node)
  }

  #place(key: number): number {
    // Keys are hashes; their low bits do.
    return key & (this.#heads.length - 1)
  }
}

function grown(array: Uint32Array, least: number, filler: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(least, Math.ceil(array.length * 1.5))).fill(filler, array.length)
  larger.set(array)
  return larger
}
