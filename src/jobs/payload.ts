/** Inputs and outputs as JSON: what cannot travel is refused where it is made, and not found missing where it arrives. */

import { FourfoldError, type ErrorCode } from '../core/errors.ts'
import { issuesText, type StandardSchema } from './standard-schema.ts'

/** A job is a note of what is to be done; what is large stands in files or tables. */
export const maxPayloadBytes: number = 1024 * 1024

/** @throws the code given, for what JSON cannot carry or what is too large */
export function jsonOf(value: unknown, what: string, code: ErrorCode): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new FourfoldError(code, `${what} cannot be written as JSON: ${(error as Error).message}`, { cause: error })
  }
  if (text === undefined) throw new FourfoldError(code, `${what} cannot be written as JSON: it is ${typeof value}`)
  const bytes = Buffer.byteLength(text)
  if (bytes <= maxPayloadBytes) return text
  const message = `${what} has ${bytes} bytes as JSON, expected at most ${maxPayloadBytes}: put it into a file and hand over its name`
  throw new FourfoldError(code, message, { fields: { bytes } })
}

/** @throws the code given, with the schema's own messages */
export async function parse<Output>(
  schema: StandardSchema<any, Output>,
  value: unknown,
  what: string,
  code: ErrorCode,
): Promise<Output> {
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return result.value
  const message = `${what} is not as its schema says: ${issuesText(result.issues)}`
  throw new FourfoldError(code, message, { fields: { issues: result.issues.map((issue) => issuesText([issue])) } })
}
