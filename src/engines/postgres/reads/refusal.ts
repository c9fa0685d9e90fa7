/** Why a statement's answer is not cached: thrown inside the analysis, and never out of it. */
export class Refusal extends Error {
  /** Whether a catalogue that is newer might know better. */
  readonly unknown: boolean

  constructor(reason: string, unknown: boolean) {
    super(reason)
    this.unknown = unknown
  }
}

export function refuse(reason: string): never {
  throw new Refusal(reason, false)
}

/** For what is not as the catalogue has it. */
export function refuseUnknown(reason: string): never {
  throw new Refusal(`${reason}, which may be out of date`, true)
}
