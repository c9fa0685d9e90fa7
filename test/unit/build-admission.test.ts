import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { BuildAdmission, positionOf } from '../../src/clones/balancer/admission.ts'

import type { Admission } from '../../src/clones/protocol.ts'
import type { IncomingMessage } from 'node:http'

const [old, next] = ['a'.repeat(32), 'b'.repeat(32)]
const during = (share: number): Admission => ({
  current: { id: old, ordinal: 7 },
  next: { id: next, ordinal: 8 },
  share,
})

interface Asking {
  readonly headers?: Record<string, string>
  readonly address?: string
  readonly socket?: object
}

function request({ headers = {}, address = '10.0.0.1', socket = {} }: Asking = {}): IncomingMessage {
  return { headers, socket: Object.assign(socket, { remoteAddress: address }) } as unknown as IncomingMessage
}

function admissionAt(share: number, trustProxy: readonly string[] = []): BuildAdmission {
  const admission = new BuildAdmission({ trustProxy })
  admission.set(during(share))
  return admission
}

test('without a rollout every request may go to the one build, and to no other', () => {
  const admission = new BuildAdmission({ trustProxy: [] })
  assert.ok(admission.admits('anything'))
  admission.set({ current: { id: old, ordinal: 7 }, share: 0 })
  assert.deepEqual([admission.admits(old), admission.admits(next), admission.admits('')], [true, false, false])
  assert.equal(admission.buildFor(request()), null)
})

test('a build gets requests from the first share on, and the old one until the last', () => {
  const admitted = [0, 0.5, 1].map((share) => [admissionAt(share).admits(old), admissionAt(share).admits(next)])
  assert.deepEqual(admitted, [
    [true, false],
    [true, true],
    [false, true],
  ])
})

test('a reader that was moved stays moved while the share grows', () => {
  const reader = fc.oneof(
    fc.record({ headers: fc.record({ authorization: fc.string({ minLength: 1 }) }) }),
    fc.record({
      headers: fc.record({ cookie: fc.stringMatching(/^[a-z]{1,20}$/).map((id) => `x=1; ff_session=${id}`) }),
    }),
    fc.record({ address: fc.ipV4() }),
  )
  const shares = fc.array(fc.double({ min: 0.01, max: 0.99, noNaN: true }), { minLength: 2, maxLength: 6 })
  fc.assert(
    fc.property(reader, shares, (asking, list) => {
      let moved = false
      for (const share of list.toSorted((a, b) => a - b)) {
        // Another balancer each time: nothing of it is in one's memory.
        const build = admissionAt(share).buildFor(request(asking))
        if (moved) assert.equal(build, next)
        moved = build === next
      }
    }),
  )
})

test('about so many readers are moved as the share says, others in another rollout', () => {
  const readers = Array.from({ length: 4000 }, (_, index) => `token Bearer ${index}`)
  const moved = (ordinal: number): Set<string> =>
    new Set(readers.filter((reader) => positionOf(reader, { id: next, ordinal }) < 0.1))
  const [first, second] = [moved(8), moved(9)]
  assert.ok(Math.abs(first.size - 400) < 90, `${first.size}`)
  const again = [...first].filter((reader) => second.has(reader)).length
  assert.ok(again < 90, `${again} of ${first.size} again`)
})

/** A reader that is not among the first tenth, found by asking. */
function unmoved(): Asking {
  const admission = admissionAt(0.1)
  const index = Array.from({ length: 200 }, (_, at) => at).find(
    (at) => admission.buildFor(request({ address: `10.0.1.${at}` })) === old,
  )
  return { address: `10.0.1.${index}` }
}

test('the cookie of a new build holds a reader that changes its name; one of another rollout does not', () => {
  const asking = unmoved()
  const admission = admissionAt(0.1)
  const headers: string[] = []
  admission.answered(next, request(asking), 200, headers, true)
  const cookie = headers[headers.indexOf('set-cookie') + 1]?.split(';')[0] ?? ''
  assert.match(cookie, /^ff_build=8\.b{12}$/)
  assert.equal(admission.buildFor(request({ ...asking, headers: { cookie: `x=y; ${cookie}` } })), next)
  const others = ['ff_build=9.bbbbbbbbbbbb', 'ff_build=8.cccccccccccc', 'ff_build=', 'xff_build=8.bbbbbbbbbbbb']
  for (const other of others) {
    assert.equal(admission.buildFor(request({ ...asking, headers: { cookie: other } })), old, other)
  }
})

test('a connection that the new build was chosen for is its own, unless a proxy shares it', () => {
  for (const trustProxy of [[], ['10.0.0.0/8']]) {
    const admission = admissionAt(0.1, trustProxy)
    const socket = {}
    const tokens = Array.from({ length: 200 }, (_, at) => `Bearer ${at}`)
    const ask = (authorization: string): string | null =>
      admission.buildFor(request({ socket, headers: { authorization } }))
    const builds = tokens.map(ask)
    const firstMoved = builds.indexOf(next)
    assert.ok(firstMoved >= 0)
    const after = new Set(builds.slice(firstMoved))
    assert.deepEqual([...after], trustProxy.length === 0 ? [next] : [next, old])
  }
})

test('the cookie is not put on answers that caches share, nor on the old build’s, nor twice', () => {
  const admission = admissionAt(0.5)
  const setsCookie = (build: string, headers: string[], asking: Asking = {}): boolean => {
    admission.answered(build, request(asking), 200, headers, true)
    return headers.includes('set-cookie')
  }
  assert.ok(setsCookie(next, ['Cache-Control', 'private, max-age=5']))
  assert.ok(!setsCookie(next, ['Cache-Control', 'public, max-age=5']))
  assert.ok(!setsCookie(next, ['cache-control', 's-maxage=5']))
  assert.ok(!setsCookie(old, []))
  assert.ok(!setsCookie(next, [], { headers: { cookie: 'ff_build=8.bbbbbbbbbbbb' } }))
})

test('answers and broken connections are counted for each build', () => {
  const admission = admissionAt(0.5)
  for (const status of [200, 404, 500, 503]) admission.answered(next, request(), status, [], false)
  admission.failed(old)
  assert.deepEqual(admission.counts(), { [next]: { requests: 4, errors: 2 }, [old]: { requests: 1, errors: 1 } })
})
