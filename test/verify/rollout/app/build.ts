/** Which build this is. The harness writes this file anew, in place, before each rollout. */

export const build: number = 1
/** Whether it answers readers with errors, though not the check that comes before them. */
export const failing: boolean = false
/** Whether its clones can start. */
export const starts: boolean = true
