/** What casts bring into an answer: the clock, the time zone, the catalogue, or code of the app's own. */

import { noteParameter, noteVolatile, type Place } from './analysis.ts'
import { refuse } from './refusal.ts'
import { bodyOf, constantOf, listOf, parameterOf, type Tree } from './tree.ts'
import { castType, namedType, type NamedType } from './type-names.ts'
import { isTime, isZoned, typeOids } from './types.ts'
import { typeOfValue } from './value-types.ts'

/** The words for which the input of dates and times takes the time of the query. */
const clockWords = /(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])/i

/** Why a text makes an answer depend on the time, if the server reads it as a date; else null. */
export function clockWord(text: string): string | null {
  const word = clockWords.exec(text)?.[0]
  return word === undefined ? null : `'${word.toLowerCase()}' may stand for the time of the query`
}

/** @param inspect the walk, for what is cast */
export function inspectCast(body: Tree, place: Place, inspect: (node: unknown, place: Place) => void): void {
  const type = castType(body, place.analysis.catalogue)
  const constant = constantOf(body.arg)
  if (type.registered && (constant === null || !/^_?reg(config|dictionary)$/.test(type.name))) {
    refuse(`a cast to ${type.name} reads the catalogue`)
  }
  const parameter = parameterOf(body.arg)
  const use = type.family === null || type.modified ? 'other' : type.family
  if (parameter !== null) {
    noteParameter(place.analysis, parameter, use !== 'other' && type.array ? `${use}[]` : use)
    return
  }
  if (constant !== null && !type.timely) return
  if (constant === null) judgeSource(body.arg, type, place)
  const elements = type.array ? bodyOf(body.arg, 'A_ArrayExpr') : null
  if (elements === null) {
    inspect(body.arg, place)
    return
  }
  // The server casts each element.
  for (const element of listOf(elements.elements)) {
    const number = parameterOf(element)
    if (number === null) inspect(element, place)
    else noteParameter(place.analysis, number, use)
  }
}

/** What is neither a constant nor a parameter may be text that says `today`, or a date in another zone. */
function judgeSource(node: unknown, type: NamedType, place: Place): void {
  const elements = type.array ? bodyOf(node, 'A_ArrayExpr') : null
  if (elements !== null) {
    for (const element of listOf(elements.elements)) {
      if (constantOf(element) === null && parameterOf(element) === null) judgeSource(element, type, place)
    }
    return
  }
  const source = typeOfValue(node, { scope: place.scope, catalogue: place.analysis.catalogue })
  const reason = `a cast to ${type.name} may depend on the time or the setting TimeZone`
  if (type.timely) {
    const same = source !== null && source === type.oid && source !== 0
    const plain = source !== null && isTime(source) && !isZoned(source) && isTime(type.oid) && !isZoned(type.oid)
    if (!same && !plain) noteVolatile(place.analysis, reason)
  } else if (textual.has(type.oid) && source !== null && isZoned(source)) noteVolatile(place.analysis, reason)
}

const textual: ReadonlySet<number> = new Set([typeOids.text, typeOids.varchar, typeOids.bpchar, typeOids.name])

/** A type that stands elsewhere than in a cast: of a column of a function's rows, of what JSON is turned into. */
export function inspectNamedType(body: Tree, place: Place): void {
  const type = namedType(body, place.analysis.catalogue)
  if (type.registered) refuse(`a cast to ${type.name} reads the catalogue`)
  if (type.timely) {
    noteVolatile(place.analysis, `a cast to ${type.name} may depend on the time or the setting TimeZone`)
  }
}
