/** Errors as people read them: our own without a stack, others with one. */

import { isFourfoldError } from '../core/errors.ts'

/** Writes what went wrong to standard error and lets the process end with 1. */
export function reportFailure(error: unknown): void {
  process.exitCode = 1
  if (!isFourfoldError(error)) {
    console.error(error)
    return
  }
  console.error(`\n${error.code}: ${error.message}`)
  const problems = error.fields['problems']
  if (!Array.isArray(problems) || error.message.includes('\n')) return
  for (const { path, message } of problems as { path: string; message: string }[])
    console.error(`  ${path}: ${message}`)
}
