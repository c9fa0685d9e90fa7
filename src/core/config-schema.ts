/**
 * How a configuration is described: one plain literal (`as const`) from which come the
 * TypeScript types of what people write and of what the code gets, the validation and the defaults (`config.ts`),
 * the environment overrides, and the reference page (`config-reference.ts`).
 *
 * It is data rather than calls of builders, so that `isolatedDeclarations` can write its type down.
 */

interface Described {
  /** One sentence or two: unit, meaning, consequence. */
  readonly summary: string
  /** Must be given. Otherwise it may be absent. */
  readonly required?: boolean
}

export interface TextField extends Described {
  readonly kind: 'text'
  readonly default?: string
  /** Never shown, neither in messages nor in `fourfold config`. */
  readonly secret?: boolean
  /** An address: its password is taken out wherever it is shown. */
  readonly url?: boolean
}

export interface NumberField extends Described {
  readonly kind: 'number'
  readonly default?: number
  readonly min?: number
  readonly max?: number
}

/** Milliseconds inside, under the key with `Ms` added. */
export interface DurationField extends Described {
  readonly kind: 'duration'
  readonly default?: string
  /** Whether it may be nothing. Else it is at least a millisecond. */
  readonly zero?: boolean
  /** Whether it is kept as a time, and no timer has to count it: those cannot count 25 days. */
  readonly long?: boolean
}

/** A number of bytes inside, under the key with `Bytes` added. */
export interface BytesField extends Described {
  readonly kind: 'bytes'
  readonly default?: string
}

export interface ChoiceField extends Described {
  readonly kind: 'choice'
  readonly options: readonly (string | boolean)[]
  readonly default?: string | boolean
}

/** Plain data that is handed on as it is, such as a driver's own options. In the environment: JSON. */
export interface DataField extends Described {
  readonly kind: 'data'
  /** What is expected, in words. */
  readonly expects: string
  readonly secret?: boolean
}

/** Code, such as a request handler. Checked to be there, and no part of the resolved configuration. */
export interface CodeField extends Described {
  readonly kind: 'code'
  /** A list of definitions in place of a function. */
  readonly list?: boolean
}

/** In the environment: separated by commas where the items are scalars. */
export interface ListField extends Described {
  readonly kind: 'list'
  readonly of: Field
  readonly default?: readonly string[]
}

/** Names chosen by the user, all with values of one shape. */
export interface RecordField extends Described {
  readonly kind: 'record'
  /** What the names are, for the reference: `name`. */
  readonly name: string
  readonly of: GroupField
}

/** A number, or a list. */
export interface CountOrListField extends Described {
  readonly kind: 'countOrList'
  readonly of: Field
}

export interface GroupField extends Described {
  readonly kind: 'group'
  readonly fields: Readonly<Record<string, Field>>
  /** A bare number stands for these keys: `clones: 4` is `{ min: 4, max: 4 }`. */
  readonly numberSets?: readonly string[]
}

export type ScalarField = TextField | NumberField | DurationField | BytesField | ChoiceField
export type Field = ScalarField | DataField | CodeField | ListField | RecordField | CountOrListField | GroupField

/** What people write for a field. */
export type InputOf<F> = F extends { kind: 'text' }
  ? string
  : F extends { kind: 'number' }
    ? number
    : F extends { kind: 'duration' | 'bytes' }
      ? string | number
      : F extends { kind: 'choice'; options: readonly (infer Option)[] }
        ? Option
        : F extends { kind: 'list'; of: infer Item }
          ? readonly InputOf<Item>[]
          : F extends { kind: 'countOrList'; of: infer Item }
            ? number | readonly InputOf<Item>[]
            : F extends { kind: 'record'; of: infer Item }
              ? Readonly<Record<string, InputOf<Item>>>
              : F extends { kind: 'group'; fields: infer Fields }
                ? GroupInput<Fields> | (F extends { numberSets: readonly string[] } ? number : never)
                : F extends { kind: 'data' }
                  ? object | boolean
                  : never

type GroupInput<Fields> = {
  readonly [Key in keyof Fields as Fields[Key] extends { kind: 'code' } ? never : Key]?: InputOf<Fields[Key]>
}

/** What the code gets for a field, after defaults. */
export type OutputOf<F> = F extends { kind: 'duration' | 'bytes' }
  ? number
  : F extends { kind: 'list'; of: infer Item }
    ? readonly OutputOf<Item>[]
    : F extends { kind: 'countOrList'; of: infer Item }
      ? number | readonly OutputOf<Item>[]
      : F extends { kind: 'record'; of: infer Item }
        ? Readonly<Record<string, OutputOf<Item>>>
        : F extends { kind: 'group'; fields: infer Fields }
          ? GroupOutput<Fields>
          : InputOf<F>

type OutputName<Key, F> = F extends { kind: 'code' }
  ? never
  : F extends { kind: 'duration' }
    ? `${Key & string}Ms`
    : F extends { kind: 'bytes' }
      ? `${Key & string}Bytes`
      : Key

/** There in every resolved configuration: it is required, has a default, or is a container. */
type Present<F> = F extends { required: true } | { default: unknown } | { kind: 'group' | 'record' } ? true : false

type GroupOutput<Fields> = {
  readonly [Key in keyof Fields as OutputName<Key, Fields[Key]>]: Present<Fields[Key]> extends true
    ? OutputOf<Fields[Key]>
    : OutputOf<Fields[Key]> | undefined
}

/** The key under which a field's value stands in the resolved configuration. */
export function outputName(key: string, field: Field): string {
  return field.kind === 'duration' ? `${key}Ms` : field.kind === 'bytes' ? `${key}Bytes` : key
}

/** What a field takes, in words. */
export function describeExpected(field: Field): string {
  switch (field.kind) {
    case 'text':
      return field.url === true ? 'an address (text)' : 'text'
    case 'number':
      return `a whole number${field.min === undefined ? '' : ` from ${field.min}`}${field.max === undefined ? '' : ` to ${field.max}`}`
    case 'duration':
      return `a duration such as "250ms" or "30s", or milliseconds${durationRange(field)}`
    case 'bytes':
      return 'a size such as "64KiB" or "8MiB", or bytes'
    case 'choice':
      return `one of ${field.options.map((option) => JSON.stringify(option)).join(', ')}`
    case 'data':
      return field.expects
    case 'code':
      return field.list === true ? 'a list of definitions' : 'a function'
    case 'list':
      return `a list, each item ${describeExpected(field.of)}`
    case 'countOrList':
      return `a whole number, or a list, each item ${describeExpected(field.of)}`
    case 'record':
      return 'an object'
    case 'group':
      return field.numberSets === undefined ? 'an object' : 'a whole number or an object'
  }
}

/** The longest time that timers, and PostgreSQL's own, can count. */
const longestMs = 2 ** 31 - 1

/** Whether a field takes a duration of so many milliseconds. */
export function isWithin(ms: number, { zero, long }: DurationField): boolean {
  return (ms >= 1 || (ms === 0 && zero === true)) && (ms <= longestMs || long === true)
}

function durationRange({ zero, long }: DurationField): string {
  const least = zero === true ? '' : 'at least 1ms'
  const most = long === true ? '' : 'less than 25d'
  return [least, most]
    .filter((part) => part !== '')
    .map((part, index) => (index === 0 ? `; ${part}` : ` and ${part}`))
    .join('')
}

/** The path of a key inside of what has a path. */
export function joinPath(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

/** `databases.main.maxStaleness` as the environment spells it: `FOURFOLD_DATABASES_MAIN_MAX_STALENESS`. */
export function environmentName(path: string): string {
  const words = path.replaceAll(/([a-z\d])([A-Z])/g, '$1_$2').replaceAll(/[^A-Za-z\d]+/g, '_')
  return `FOURFOLD_${words.toUpperCase()}`
}
