/** Why a statement's answer is not cached: thrown inside the analysis, and never out of it. */
export class Refusal extends Error {}

export function refuse(reason: string): never {
  throw new Refusal(reason)
}
