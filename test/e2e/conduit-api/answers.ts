/** What the API's tests are given, and what they ask of an answer. */

import assert from 'node:assert/strict'

import type { Answer, Call, Member } from '../../support/conduit.ts'

/** A running Conduit, two members, and an article of the first. Filled before the first test. */
export interface Given {
  url: string
  call: Call
  ann: Member
  bob: Member
  article: any
}

export const timestamp: RegExp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
export const blank: readonly string[] = ["can't be blank"]

export function refused(answer: Answer, status: number, errors?: object): void {
  assert.equal(answer.status, status, answer.text)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
  assert.deepEqual(Object.keys(answer.json), ['errors'])
  for (const messages of Object.values(answer.json.errors)) {
    assert.ok(Array.isArray(messages) && messages.every((message) => typeof message === 'string'), answer.text)
  }
  if (errors) assert.deepEqual(answer.json.errors, errors)
}

/** A refused field, whatever the words. */
export function refusedField(answer: Answer, ...fields: string[]): void {
  refused(answer, 422)
  assert.deepEqual(Object.keys(answer.json.errors).sort(), fields.sort())
}

export async function good(answer: Promise<Answer>, status = 200): Promise<any> {
  const { status: got, text, json } = await answer
  assert.equal(got, status, text)
  return json
}
