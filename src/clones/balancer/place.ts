/** A request's place at a clone, from the choice of the clone until its answer has come. */

import type { UpstreamState } from './upstream.ts'

/** What can be done with a place. It is released exactly once; more calls do nothing. */
export interface Lease {
  readonly upstream: UpstreamState
  release(): void
  /** The body that was streamed has come: from now on this is a request like the others. */
  uploaded(): void
  /** From now on this is a stream: it no longer counts, and is ended when the clone drains. */
  becomeStream(stream: OpenStream): void
}

/** Something without an end of its own, such as an event stream. */
export interface OpenStream {
  endStream(): void
}

export class Place implements Lease {
  readonly upstream: UpstreamState
  readonly #freed: (upstream: UpstreamState) => void
  #uploading: boolean
  #counted = true
  #stream: OpenStream | null = null

  /** `freed` hears whenever there is room again. */
  constructor(upstream: UpstreamState, streamed: boolean, freed: (upstream: UpstreamState) => void) {
    this.upstream = upstream
    this.#freed = freed
    this.#uploading = streamed
    upstream.inFlight += 1
    if (streamed) upstream.uploads += 1
  }

  uploaded(): void {
    if (!this.#uploading) return
    this.#uploading = false
    this.upstream.uploads -= 1
    this.#freed(this.upstream)
  }

  release(): void {
    if (this.#stream !== null) this.upstream.streams.delete(this.#stream)
    this.#leave()
  }

  becomeStream(stream: OpenStream): void {
    this.#stream = stream
    this.upstream.streams.add(stream)
    this.#leave()
  }

  #leave(): void {
    if (this.#counted) {
      this.#counted = false
      this.upstream.inFlight -= 1
      if (this.#uploading) this.upstream.uploads -= 1
      this.#uploading = false
    }
    this.#freed(this.upstream)
  }
}
