/**
 * What workers ask for all the time, as functions in the database: these keep the plans of their statements, behind any
 * pooler, where a statement that is sent is planned anew (a claim: for twice as long as it then runs).
 *
 * A plan that is kept was made when the table was empty, as it is most of the time, and must be right when there are
 * a million rows in it: so the functions plan for the indexes whatever the statistics say.
 *
 * A name ends in the number of its body. Another body gets another number: builds of before and after work on one database.
 */

import { CLAIM_BODY, CLAIM_FEW_BODY, COMPLETE_SQL } from './claims.ts'

const byIndex = ['seqscan', 'bitmapscan', 'hashjoin', 'mergejoin'].map((way) => `set enable_${way} = off`).join(' ')

function functionOf(name: string, parameters: string, answers: string, body: string): string {
  return `create or replace function fourfold.${name}(${parameters}) returns table (${answers})
language plpgsql ${byIndex} as $fourfold$
#variable_conflict use_column
${body} $fourfold$;`
}

const claim = 'claim_jobs_1'
const claimFew = 'claim_few_jobs_1'
const complete = 'complete_jobs_2'

const claimed = `id bigint, token integer, name text, input json, owner text, attempt integer, attempts integer,
  cancelled boolean, rank float8, more boolean`

export const functionNames: readonly string[] = [claim, claimFew, complete]

export const CREATE_FUNCTIONS_SQL: string = [
  functionOf(claim, 'bigint, text[], integer', claimed, CLAIM_BODY),
  functionOf(claimFew, 'bigint, text, integer', claimed, CLAIM_FEW_BODY),
  functionOf(
    complete,
    'bigint, bigint[], integer[], text[], text[], integer',
    'id bigint, version integer',
    `begin return query ${COMPLETE_SQL}; end`,
  ),
].join('\n')

/** $1 worker, $2 names, $3 how many. */
export const CALL_CLAIM_SQL: string = `select * from fourfold.${claim}($1, $2, $3)`

/** $1 worker, $2 a name, $3 how many. */
export const CALL_CLAIM_FEW_SQL: string = `select * from fourfold.${claimFew}($1, $2, $3)`

/** $1 worker, $2 ids, $3 tokens, $4 outputs, $5 messages, $6 the partition. */
export const CALL_COMPLETE_SQL: string = `select * from fourfold.${complete}($1, $2, $3, $4, $5, $6)`
