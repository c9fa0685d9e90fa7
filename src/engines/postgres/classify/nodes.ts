/** The kinds of syntax nodes that can stand in a statement that only reads, and the relations that are not replicated. */

const words = (text: string): string[] => text.trim().split(/\s+/)

export const readingNodes: ReadonlySet<string> = new Set(
  words(`
  SelectStmt ResTarget ColumnRef A_Star A_Const A_Expr BoolExpr TypeCast CollateClause SubLink CaseExpr CaseWhen
  CoalesceExpr MinMaxExpr NullTest BooleanTest A_ArrayExpr A_Indirection A_Indices RowExpr SortBy WindowDef
  RangeSubselect RangeFunction RangeTableFunc RangeTableFuncCol RangeTableSample JoinExpr Alias WithClause
  CommonTableExpr CTESearchClause CTECycleClause List String Integer Float Boolean BitString ParamRef
  SQLValueFunction GroupingFunc GroupingSet XmlExpr XmlSerialize NamedArgExpr TypeName ColumnDef DefElem
  JsonObjectConstructor JsonArrayConstructor JsonArrayQueryConstructor JsonObjectAgg JsonArrayAgg JsonAggConstructor
  JsonKeyValue JsonValueExpr JsonFormat JsonReturning JsonOutput JsonIsPredicate JsonParseExpr JsonScalarExpr
  JsonSerializeExpr JsonFuncExpr JsonArgument JsonBehavior JsonTable JsonTableColumn JsonTablePathSpec`),
)

/** Statistics, settings, locks and temporary tables: a standby would answer for itself. Catalogues are replicated. */
export function serverLocalRelation(schema: string | null, name: string): boolean {
  if (schema === 'pg_temp') return true
  if (schema !== null && schema !== 'pg_catalog') return false
  return /^pg_(statio?|replication)_|^pg_stat_/.test(name) || serverLocal.has(name)
}

const serverLocal: ReadonlySet<string> = new Set(
  words(`
  pg_locks pg_settings pg_cursors pg_prepared_statements pg_prepared_xacts pg_file_settings pg_hba_file_rules
  pg_backend_memory_contexts pg_shmem_allocations pg_aios pg_wait_events pg_ident_file_mappings`),
)
