/**
 * Who is in, in no order, for members that come and go with every request. An array in which the last one takes the
 * place of the one that leaves makes no garbage.
 *
 * A Set would: V8 gives it a new table after as many deletions as it has places, and the old table still points to the
 * new one and to who was in. Once one such table is in the old generation, the young one keeps what all later ones point
 * to, and each scavenge copies thousands of requests that are long over (measured: a third of the balancer's CPU time).
 */

/** Something that can be in one roster at a time. */
export interface Seated {
  /** Its place in the roster; -1 when it is in none. Written by the roster only. */
  seat: number
}

export class Roster<Member extends Seated> {
  readonly #members: Member[] = []

  /** Does nothing if it is in already. */
  add(member: Member): void {
    if (member.seat >= 0) return
    member.seat = this.#members.length
    this.#members.push(member)
  }

  /** Does nothing if it is not in. */
  delete(member: Member): void {
    const { seat } = member
    if (seat < 0) return
    member.seat = -1
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    last.seat = seat
    this.#members[seat] = last
  }

  /** A copy: members may leave while it is walked. */
  all(): Member[] {
    return [...this.#members]
  }
}
