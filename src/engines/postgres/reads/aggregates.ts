/** Aggregates: which functions are some, and which query one belongs to. */

import { resolve, type Variable } from './scope.ts'
import { namesOf, type Tree } from './tree.ts'

import type { Place } from './analysis.ts'

/** An aggregate over columns of an outer query alone belongs to that query; what is in a sub-select is not looked at. */
export function noteAggregate(body: Tree, place: Place): void {
  const { funcname: _, over: __, ...operands } = body
  const variables = columnsIn(operands, place)
  place.aggregates = true
  const own = new Set(place.scope.items.flatMap((item) => item.columns.map((column) => column.variable.source)))
  if (variables.length === 0 || variables.some((variable) => variable !== null && own.has(variable.source))) return
  for (let outer = place.outer; outer !== null; outer = outer.outer) outer.aggregates = true
}

function columnsIn(node: unknown, place: Place): readonly (Variable | null)[] {
  if (typeof node !== 'object' || node === null) return []
  if (Array.isArray(node)) return node.flatMap((part) => columnsIn(part, place))
  return Object.entries(node).flatMap(([key, child]) => {
    if (key === 'SubLink') return [null]
    const path = key === 'ColumnRef' ? namesOf((child as Tree).fields) : null
    return path === null ? columnsIn(child, place) : [resolve(place.scope, path)]
  })
}

const aggregates: ReadonlySet<string> = new Set(
  `any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist dense_rank
  every json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique jsonb_agg
  jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique max min mode percent_rank
  percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept
  regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
  xmlagg`.split(/\s+/),
)

/** For a test that holds the list against the server's own. */
export function isKnownAggregate(name: string): boolean {
  return aggregates.has(name)
}
