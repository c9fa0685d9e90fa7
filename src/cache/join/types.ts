/** What a join gives, and where it does not fit its rows or the schema: worked out by the compiler. */

import type { Join, Joins, TableLink, TableRef } from './spec.ts'
import type { ObjectDefinition } from '../define-object.ts'
import type { Selectable, Transaction } from 'kysely'

/** Joins rows with what belongs to them. `Schemas`: those of the app's databases, by name. */
export type JoinFunction<Schemas> = <Row extends object, const J extends Joins<NoInfer<Row>>>(
  rows: readonly Row[],
  joins: J & Checked<Schemas, Row, J>,
  options?: JoinOptions,
) => Promise<Joined<Schemas, Row, J>[]>

export interface JoinOptions {
  /** Reads inside a transaction: no cache, and one statement after the other. */
  readonly in?: Transaction<any>
}

/** Rows with the joined fields. */
export type Joined<Schemas, Row, J> = Plain<Row & { readonly [Field in keyof J]: FieldOf<Schemas, J[Field]> }>

type Plain<T> = { [Field in keyof T]: T[Field] }

type FieldOf<Schemas, J> =
  J extends Join<any, infer Target, any, infer Options>
    ? J['kind'] extends 'one'
      ? Found<Schemas, Target, Options> | null
      : Found<Schemas, Target, Options>[]
    : never

type Found<Schemas, Target, Options> =
  Target extends ObjectDefinition<any, infer Value>
    ? Value
    : Target extends TableRef
      ? WithJoins<Schemas, Picked<RowOf<Schemas, Target>, Options>, Options>
      : never

type WithJoins<Schemas, Row, Options> = Options extends { readonly join: infer J } ? Joined<Schemas, Row, J> : Row

type Picked<Row, Options> = Options extends { readonly columns: readonly (infer Name)[] }
  ? Plain<Pick<Row, Extract<Name, keyof Row>>>
  : Row

type IsAny<T> = 0 extends 1 & T ? true : false

type SchemaOf<Schemas, Database> =
  IsAny<Schemas> extends true
    ? any
    : Database extends keyof Schemas
      ? Schemas[Database]
      : 'main' extends keyof Schemas
        ? Schemas['main']
        : Schemas[keyof Schemas]

/** The columns of a table; of any kind where the schema is not known, `never` where it knows no such table. */
type RowOf<Schemas, Target extends TableRef> = RowIn<SchemaOf<Schemas, Target['database']>, Target['name']>

type RowIn<Schema, Name> =
  IsAny<Schema> extends true ? Record<string, any> : Name extends keyof Schema ? Plain<Selectable<Schema[Name]>> : never

/** Stands where something of a join is wrong: nothing can be assigned to it, and it says what is. */
interface Mistake<Message extends string> {
  readonly mistake: Message
}

/** What joins must be besides: anything where they fit, a mistake where they do not. */
export type Checked<Schemas, Row, J> = {
  readonly [Field in keyof J]: Field extends Named<keyof Row>
    ? Mistake<`the rows have a field ${Field & string} already`>
    : J[Field] extends Join<any, infer Target, infer By, infer Options>
      ? CheckedKey<Row, Target, By, Options, J[Field]['kind'], CheckedTarget<Schemas, Target, Options>>
      : unknown
}

/** Nothing where any name may be a field. */
type Named<Keys> = string extends Keys ? never : Keys

type CheckedKey<Row, Target, By, Options, Kind, Good> = By extends string
  ? By extends keyof Row
    ? Target extends ObjectDefinition<infer K>
      ? Options extends { readonly through: TableLink }
        ? Good
        : Row[By] extends (Kind extends 'many' ? readonly (K | null | undefined)[] : K) | null | undefined
          ? Good
          : Mistake<`${By} is no key of this object`>
      : Good
    : Mistake<`the rows have no field ${By}`>
  : Good

type CheckedTarget<Schemas, Target, Options> = Options extends { readonly through: infer Link extends TableLink }
  ? CheckedTable<Schemas, Link, Link['to'], CheckedPlace<Schemas, Target, Options>>
  : CheckedPlace<Schemas, Target, Options>

type CheckedPlace<Schemas, Target, Options> = Target extends TableRef
  ? CheckedTable<Schemas, Target, Mentioned<Options>, CheckedNested<Schemas, Target, Options>>
  : unknown

/** Whether a table has the column of its reference, and these. */
type CheckedTable<Schemas, Target extends TableRef, Columns, Good> = [RowOf<Schemas, Target>] extends [never]
  ? Mistake<`there is no table ${Target['name']}`>
  : [Exclude<Target['column'] | Columns, keyof RowOf<Schemas, Target>>] extends [never]
    ? Good
    : Mistake<`${Target['name']} has no column ${Exclude<Target['column'] | Columns, keyof RowOf<Schemas, Target>> & string}`>

type Mentioned<Options> = ColumnsIn<Options> | KeysIn<Options, 'where'> | KeysIn<Options, 'orderBy'>

type ColumnsIn<Options> = Options extends { readonly columns: readonly (infer Name)[] } ? Name : never

type KeysIn<Options, Name extends string> = Options extends { readonly [Key in Name]: infer Of }
  ? Of extends (...args: never[]) => unknown
    ? never
    : keyof Of
  : never

type CheckedNested<Schemas, Target extends TableRef, Options> = Options extends { readonly join: infer J }
  ? J extends Checked<Schemas, Picked<RowOf<Schemas, Target>, Options>, J>
    ? unknown
    : { readonly options: { readonly join: Checked<Schemas, Picked<RowOf<Schemas, Target>, Options>, J> } }
  : unknown
