/** A catalogue made by hand, for what needs no server. */

import { type Catalogue, loadCatalogue } from '../../src/engines/postgres/reads/catalogue.ts'

import type { CatalogueRow, ColumnRow, RelationRow } from '../../src/engines/postgres/reads/catalogue-query.ts'

export const oids = { a: 20_001, b: 20_002, parent: 20_010, child: 20_011, parts: 20_020, mood: 20_100 } as const

const types: Readonly<Record<string, number>> = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
  tsvector: 3614,
  jsonb: 3802,
  mood: oids.mood,
  nonzero: 20_101,
}

/** `id int4, name text nondeterministic, sum int4 generated` */
function columns(text: string): readonly ColumnRow[] {
  return text.split(',').map((column) => {
    const [name = '', type = '', ...rest] = column.trim().split(' ')
    return [name, types[type] ?? 0, rest.includes('generated'), !rest.includes('nondeterministic')]
  })
}

export interface RelationOptions {
  readonly schema?: string
  readonly kind?: string
  readonly persistence?: string
  readonly rowSecurity?: boolean
  readonly definition?: string
}

export function relation(oid: number, name: string, definedAs: string, options: RelationOptions = {}): RelationRow {
  const { schema = 'public', kind = 'r', persistence = 'p', rowSecurity = false, definition = null } = options
  return [oid, schema, name, kind, persistence, rowSecurity, definition, columns(definedAs)]
}

const all =
  'id int4, small int2, big int8, t text, v varchar, c bpchar, nd text nondeterministic, u uuid, f bool, m mood, ' +
  'n numeric, g int4 generated, dom nonzero, d date, at timestamptz, ts timestamp, js jsonb, search tsvector'

const plain: CatalogueRow = {
  database: 'main',
  role: 'app',
  path: ['pg_catalog', 'public'],
  unsteady: ['age', 'date', 'nextval'],
  relations: [
    relation(oids.a, 'a', all),
    relation(oids.b, 'b', 'id int8, a_id int4, k int4, t text, u uuid, n numeric'),
    relation(oids.parent, 'parent', 'id int4, k int4'),
    relation(oids.child, 'child', 'id int4, k int4 generated'),
    relation(oids.parts, 'parts', 'id int4, k int4', { kind: 'p' }),
    relation(20_021, 'parts_1', 'id int4, k int4'),
    relation(20_030, 'secret', 'id int4', { rowSecurity: true }),
    relation(20_031, 'quick', 'id int4', { persistence: 'u' }),
    relation(20_032, 'stale', 'id int4', { kind: 'm' }),
    relation(20_033, 'far', 'id int4', { kind: 'f' }),
    relation(20_034, 'counter', 'last_value int8', { kind: 'S' }),
    relation(20_035, 'mixed', 'id int4', { kind: 'p' }),
    relation(20_036, 'elsewhere', 'id int4', { schema: 'other' }),
    relation(1259, 'pg_class', 'oid int4', { schema: 'pg_catalog' }),
    relation(20_040, 'some_a', 'id int4, name varchar', {
      kind: 'v',
      definition: ` SELECT id, v AS name FROM a WHERE (((v)::text = 'x'::text) AND (m = 'ok'::mood));`,
    }),
    relation(20_041, 'pair', 'id int8, t text', {
      kind: 'v',
      definition: ' SELECT a.big, a.t FROM a UNION ALL SELECT b.id, b.t FROM b;',
    }),
    relation(20_042, 'hidden', 'id int4', { kind: 'v', definition: ' SELECT id FROM secret;' }),
  ],
  inheritance: [
    [oids.child, oids.parent],
    [20_021, oids.parts],
    [20_031, 20_035],
  ],
  types: [
    [oids.mood, 'public', 'mood', 'e', 0, true],
    [20_101, 'public', 'nonzero', 'd', 23, true],
    [20_102, 'public', 'birthday', 'd', 1082, true],
    [20_103, 'public', 'strange', 'b', 0, false],
  ],
  functions: [
    ['public', 'upper', false],
    ['public', 'replace', true],
    ['public', 'similarity', true],
    ['other', 'lower', false],
  ],
  operators: [
    ['public', '<=>', true],
    ['public', '@@@', false],
  ],
  own_equality: false,
  own_cast: null,
}

export async function plainCatalogue(changed: Partial<CatalogueRow> = {}): Promise<Catalogue> {
  const row = { ...plain, ...changed }
  return loadCatalogue({ query: async () => ({ rows: [row as unknown as Record<string, unknown>] }) })
}
