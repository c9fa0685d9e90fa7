/**
 * Looks at every state that a small state machine can reach, breadth first, so that the first violation it meets has
 * the shortest trace. States are plain values; two states are the same when their encodings are (their JSON, unless a
 * model has a shorter one), which makes the search exact: nothing is hashed away.
 */

export interface Step<State> {
  /** What happens, in words for a trace. */
  readonly label: string
  readonly next: State
}

export interface Model<State> {
  readonly initial: State
  /** Everything that can happen next. */
  steps(state: State): readonly Step<State>[]
  /** What is wrong in this state, or null. */
  violation(state: State): string | null
  /** A text that differs for states that differ; without it, their JSON. */
  encode?(state: State): string
}

export interface Exploration {
  /** How many different states were looked at. */
  readonly states: number
  /** The shortest way into a wrong state, or null where no state is wrong. */
  readonly violation: { readonly what: string; readonly trace: readonly string[] } | null
}

interface Visit {
  readonly label: string
  readonly from: Visit | null
}

/**
 * Explores a model to its end or to its first violation. A model with more than `maxStates` states is an error: a
 * search that was cut short proves nothing.
 */
export function explore<State>(model: Model<State>, maxStates = 2_000_000): Exploration {
  const encode = (state: State): string => model.encode?.(state) ?? JSON.stringify(state)
  const seen = new Set([encode(model.initial)])
  let level: [State, Visit][] = [[model.initial, { label: 'start', from: null }]]
  while (level.length > 0) {
    const nextLevel: [State, Visit][] = []
    for (const [state, visit] of level) {
      for (const { label, next } of model.steps(state)) {
        const key = encode(next)
        if (seen.has(key)) continue
        if (seen.size >= maxStates) throw new RangeError(`more than ${maxStates} states: make the bounds smaller`)
        seen.add(key)
        const reached = { label, from: visit }
        const what = model.violation(next)
        if (what !== null) return { states: seen.size, violation: { what, trace: traceOf(reached) } }
        nextLevel.push([next, reached])
      }
    }
    level = nextLevel
  }
  return { states: seen.size, violation: null }
}

/** A trace as numbered lines. */
export function formatTrace(violation: NonNullable<Exploration['violation']>): string {
  return [
    ...violation.trace.map((label, index) => `${String(index + 1).padStart(4)}. ${label}`),
    `   => ${violation.what}`,
  ].join('\n')
}

function traceOf(visit: Visit): string[] {
  const labels: string[] = []
  for (let at: Visit | null = visit; at?.from; at = at.from) labels.push(at.label)
  return labels.reverse()
}
