/**
 * What a statement of a migration does to a build that knows nothing of it and goes on reading and writing beside the
 * new one. Judged by the server's own grammar; only what is listed as harmless passes, so that grammar of the future,
 * and whatever a text does not show (DO, CALL), has to be declared.
 *
 * The idea of expand and contract is the "parallel change" of Danilo Sato (martinfowler.com/bliki/ParallelChange.html).
 */

type Tree = Readonly<Record<string, unknown>>

export interface BreakingJudge {
  /** Why the build before cannot live with this text, in words for people; null: it can. */
  judge(sql: string): string | null
  /** Whether the text is one statement that cannot run in a transaction. */
  runsAlone(sql: string): boolean
}

/** Loads the grammar. One judge serves one run: what the run itself has made, the old build does not use. */
export async function loadBreakingJudge(): Promise<BreakingJudge> {
  const { loadModule, parseSync } = await import('libpg-query')
  await loadModule()
  const made = new Set<string>()
  const parse = (sql: string): Tree[] => {
    const { stmts = [] } = parseSync(sql) as { stmts?: { stmt?: unknown }[] }
    return stmts.map(({ stmt }) => stmt as Tree)
  }
  return {
    judge: (sql) => {
      for (const statement of parse(sql)) {
        const reason = judgeStatement(statement, made)
        if (reason !== null) return reason
      }
      return null
    },
    runsAlone: (sql) => {
      const found = parse(sql)
      return found.length === 1 && found[0] !== undefined && isConcurrent(found[0])
    },
  }
}

function isConcurrent(statement: Tree): boolean {
  const [, body] = entryOf(statement)
  return body['concurrent'] === true
}

function judgeStatement(statement: Tree, made: Set<string>): string | null {
  const [node, body] = entryOf(statement)
  if (harmless.has(node)) return JSON.stringify(body).includes('"DeleteStmt"') ? 'it deletes rows in a WITH' : null
  const relation = nameOf((body['relation'] ?? body['view']) as Tree | undefined)
  if (node === 'CreateStmt' || node === 'CreateTableAsStmt') {
    const created = nameOf((body['relation'] ?? (body['into'] as Tree | undefined)?.['rel']) as Tree | undefined)
    // With IF NOT EXISTS it may be one that the old build uses.
    if (body['if_not_exists'] !== true) made.add(created)
    return null
  }
  if (node !== 'DropStmt' && made.has(relation)) return null
  const judgeNode = judges[node]
  if (judgeNode !== undefined) return judgeNode(body, relation, made)
  return `${node.replace(/Stmt$/, '')} cannot be judged by its text`
}

/** What adds something that nobody uses yet, or changes rows as any build might. */
const harmless: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'CommentStmt',
  'CreateSchemaStmt',
  'CreateExtensionStmt',
  'CreateEnumStmt',
  'CreateDomainStmt',
  'CompositeTypeStmt',
  'CreateSeqStmt',
  'CreateStatsStmt',
  'VacuumStmt',
  'RefreshMatViewStmt',
  'LockStmt',
  'DefineStmt',
])

type Judge = (body: Tree, relation: string, made: ReadonlySet<string>) => string | null

const judges: Readonly<Record<string, Judge>> = {
  AlterTableStmt: (body, relation) => {
    for (const { AlterTableCmd: command } of (body['cmds'] ?? []) as { AlterTableCmd: Tree }[]) {
      const reason = judgeTableCommand(command, relation)
      if (reason !== null) return reason
    }
    return null
  },
  IndexStmt: (body, relation) =>
    body['unique'] === true ? `a unique index on ${relation} refuses rows that the old build may write` : null,
  DropStmt: (body, _relation, made) => {
    const type = String(body['removeType']).replace('OBJECT_', '').toLowerCase()
    const names = ((body['objects'] ?? []) as Tree[]).map(pathOf)
    if (type === 'index' || names.every((name) => made.has(name))) return null
    return `it drops the ${type} ${names.join(', ')}, which the old build may use`
  },
  RenameStmt: (body, relation) => {
    const type = String(body['renameType']).replace('OBJECT_', '').toLowerCase()
    if (type === 'index' || type === 'tabconstraint') return null
    return `it renames the ${type} ${relation} ${textOf(body['subname'])}, which the old build knows by its name`
  },
  AlterEnumStmt: (body) => (body['oldVal'] === undefined ? null : `it renames the value ${textOf(body['oldVal'])}`),
  ViewStmt: (body, relation) => (body['replace'] === true ? `it replaces the view ${relation}` : null),
  CreateFunctionStmt: (body) =>
    body['replace'] === true ? 'it replaces a function that the old build may call' : null,
  CreateTrigStmt: (_body, relation) => `a trigger on ${relation} changes what the old build's writes do`,
  GrantStmt: (body) => (body['is_grant'] === true ? null : 'it takes rights away'),
  DeleteStmt: (_body, relation) => `it deletes rows of ${relation}, which the old build may read`,
  TruncateStmt: () => 'it empties tables that the old build may read',
}

const harmlessCommands: ReadonlySet<string> = new Set([
  'AT_DropNotNull',
  'AT_DropConstraint',
  'AT_ValidateConstraint',
  'AT_SetStatistics',
  'AT_SetStorage',
  'AT_SetCompression',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_ClusterOn',
  'AT_ReplicaIdentity',
  'AT_AttachPartition',
])

function judgeTableCommand(command: Tree, relation: string): string | null {
  const type = String(command['subtype'])
  const column = `${relation}.${String(command['name'])}`
  if (harmlessCommands.has(type)) return null
  if (type === 'AT_AddColumn') return judgeColumn((command['def'] as { ColumnDef: Tree }).ColumnDef, relation)
  if (type === 'AT_ColumnDefault') {
    return command['def'] === undefined ? `it drops the default of ${column}, which the old build may leave out` : null
  }
  if (type === 'AT_DropColumn') return `it drops ${column}, which the old build may read`
  if (type === 'AT_AlterColumnType') return `it changes the type of ${column}, and rewrites the table under a lock`
  if (type === 'AT_SetNotNull') return `the old build may write null to ${column}`
  if (type === 'AT_AddConstraint') return `the old build may write rows that a new constraint of ${relation} refuses`
  return `${type.replace('AT_', '')} on ${relation} is not known to be harmless`
}

/** A column that the old build leaves out when it writes. */
function judgeColumn(column: Tree, relation: string): string | null {
  const kinds = ((column['constraints'] ?? []) as { Constraint: Tree }[]).map(({ Constraint: one }) =>
    String(one['contype']),
  )
  const name = `${relation}.${String(column['colname'])}`
  const filled = kinds.some((kind) => fills.has(kind)) || /serial\d?$/.test(typeOf(column))
  const refuses = kinds.filter((kind) => kind !== 'CONSTR_NULL' && !fills.has(kind) && kind !== 'CONSTR_NOTNULL')
  if (!filled && (kinds.includes('CONSTR_NOTNULL') || kinds.includes('CONSTR_PRIMARY'))) {
    return `the old build leaves the new column ${name} out when it writes, and it has no default`
  }
  // Null passes any of these; the same default in every row does not.
  if (kinds.includes('CONSTR_DEFAULT') && refuses.some((kind) => kind !== 'CONSTR_CHECK')) {
    return `the old build writes the default of the new column ${name}, which its constraint may refuse`
  }
  return null
}

const fills: ReadonlySet<string> = new Set(['CONSTR_DEFAULT', 'CONSTR_IDENTITY', 'CONSTR_GENERATED'])

function typeOf(column: Tree): string {
  const names = ((column['typeName'] as Tree | undefined)?.['names'] ?? []) as { String: { sval: string } }[]
  return names.at(-1)?.String.sval ?? ''
}

function entryOf(statement: Tree): [string, Tree] {
  return Object.entries(statement)[0] as [string, Tree]
}

function nameOf(relation: Tree | undefined): string {
  const schema = relation?.['schemaname']
  return `${typeof schema === 'string' ? `${schema}.` : ''}${String(relation?.['relname'])}`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function pathOf(object: Tree): string {
  const items = ((object['List'] as Tree | undefined)?.['items'] ?? []) as { String?: { sval: string } }[]
  return items.map((item) => item.String?.sval ?? '').join('.')
}
