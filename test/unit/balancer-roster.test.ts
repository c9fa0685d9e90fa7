import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Roster, type Seated } from '../../src/clones/balancer/roster.ts'

test('a roster holds whom a set would hold, whoever comes and goes in whatever order', () => {
  const moves = fc.array(fc.record({ who: fc.nat(7), comes: fc.boolean() }), { maxLength: 60 })
  fc.assert(
    fc.property(moves, (steps) => {
      const members: Seated[] = Array.from({ length: 8 }, () => ({ seat: -1 }))
      const roster = new Roster<Seated>()
      const model = new Set<Seated>()
      for (const { who, comes } of steps) {
        const member = members[who] as Seated
        if (comes) roster.add(member)
        else roster.delete(member)
        if (comes) model.add(member)
        else model.delete(member)
        assert.deepEqual(new Set(roster.all()), model)
        assert.equal(roster.all().length, model.size)
      }
    }),
  )
})
